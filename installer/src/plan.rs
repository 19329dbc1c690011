//! `plan`: the dry run.

use anyhow::Context as _;
use plan::StablePaths;
use serde_json::json;
use system::System;

use crate::{arguments, findings, output, survey};

pub fn run(system: &dyn System, options: &arguments::Plan, json: bool) -> anyhow::Result<u8> {
    let survey = survey::survey(system, &options.sources, &mut output::note)?;
    if let Some(path) = &options.svg {
        let drawing = plan::svg::svg(&survey.plan, &survey.context.inventory);
        std::fs::write(path, drawing).with_context(|| format!("cannot write `{path}`"))?;
    }
    if json {
        output::json(&json!({"findings": survey.findings, "plan": survey.plan}))?;
    } else {
        let paths = StablePaths::new(&survey.context.inventory);
        output::text(&format!("{}\n\n", findings::text(&survey.findings)))?;
        output::text(&plan::explain(&survey.plan, &paths))?;
    }
    Ok(0)
}
