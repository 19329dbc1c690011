//! `unlock`: opens the sealed secrets that came with the node file, with a code that somebody types. It is read without echo:
//! what is shown on a serial line is kept in logs.

use std::io::{IsTerminal, Read};

use anyhow::Context;
use roles::compile::UnlockCode;
use run::secrets;
use system::System;
use zeroize::Zeroizing;

use crate::{arguments, output, survey};

pub fn run(system: &dyn System, options: &arguments::Unlock) -> anyhow::Result<u8> {
    survey::must_be_live(system)?;
    let roles = roles::folder::read(&options.roles)?;
    let (_, node) = survey::node_file(system, options.node.as_deref(), &roles, &mut |line| {
        output::note(line);
    })?;
    let code = if std::io::stdin().is_terminal() {
        let prompt = format!("unlock code of {} (not shown): ", node.node);
        Zeroizing::new(rpassword::prompt_password(prompt).context("cannot read the code")?)
    } else {
        let mut text = Zeroizing::new(String::new());
        std::io::stdin()
            .take(1024)
            .read_to_string(&mut text)
            .context("cannot read the code")?;
        text
    };
    secrets::unlock(system, &node.node, &UnlockCode::parse(&code)?)?;
    output::note(&format!(
        "the secrets of {} are open; `systemctl restart rackwright-install` starts the install again",
        node.node
    ));
    Ok(0)
}
