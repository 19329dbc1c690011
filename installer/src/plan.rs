//! `plan`: the dry run.

use plan::StablePaths;
use system::System;

use crate::{arguments::Sources, output, survey};

pub fn run(system: &dyn System, sources: &Sources, json: bool) -> anyhow::Result<u8> {
    let survey = survey::survey(system, sources, &mut output::note)?;
    if json {
        output::json(&survey.plan)?;
    } else {
        let paths = StablePaths::new(&survey.context.inventory);
        output::text(&plan::explain(&survey.plan, &paths))?;
    }
    Ok(0)
}
