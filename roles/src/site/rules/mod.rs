//! The rules of the site file: one table, each with its reason and its cure. A check is a pure function from the site to
//! findings; where the site file cannot break a rule because we generate what it speaks of, the check looks at the keys
//! that can override what is generated.

mod facts;
mod galera;
mod identity;
mod links;
mod machines;
mod mail;
mod pools;
mod software;
mod storage;
mod table;
mod vips;

use std::collections::BTreeSet;

use crate::{check::Checker, diagnostic::Severity, shape::nearest};

use super::Site;
use facts::Facts;
pub(crate) use pools::{disks_for, largest_quota};
pub use table::RULES;

/// One rule.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// `E01` to `E45`; the letter says how bad breaking it is.
    pub id: &'static str,
    /// What holds if it is kept.
    pub title: &'static str,
    /// Why it is there, with its source.
    pub reason: &'static str,
    /// What to do where it is broken.
    pub cure: &'static str,
    check: fn(&Facts<'_>) -> Vec<Finding>,
}

impl Rule {
    /// As its id says.
    #[must_use]
    pub fn severity(&self) -> Severity {
        if self.id.starts_with('W') {
            Severity::Warning
        } else {
            Severity::Error
        }
    }
}

/// The rule with this id, upper or lower case.
///
/// # Errors
/// There is none; the nearest id, if one is near.
pub fn find(id: &str) -> Result<&'static Rule, Option<&'static str>> {
    let wanted = id.to_ascii_uppercase();
    RULES.iter().find(|rule| rule.id == wanted).ok_or_else(|| {
        let ids: Vec<&'static str> = RULES.iter().map(|rule| rule.id).collect();
        // The number says more than the letter.
        ids.iter()
            .find(|known| wanted.get(1..) == known.get(1..))
            .copied()
            .or_else(|| nearest(&wanted, &ids))
    })
}

/// One place where a rule is broken.
#[derive(Debug)]
pub(crate) struct Finding {
    path: String,
    message: String,
    label: Option<String>,
    only_warn: bool,
}

impl Finding {
    fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            message: message.into(),
            label: None,
            only_warn: false,
        }
    }

    /// Short text at the marked place.
    fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Milder than the rule.
    fn warn(mut self) -> Self {
        self.only_warn = true;
        self
    }
}

/// Judges a site by every rule, and the waivers by what the rules found.
pub(crate) fn check(site: &Site, checker: &mut Checker<'_, '_>) {
    let facts = Facts::new(site);
    let waived: BTreeSet<&str> = site
        .waivers
        .iter()
        .map(|waiver| waiver.rule.as_str())
        .collect();
    let mut used = BTreeSet::new();
    for rule in RULES {
        let findings = (rule.check)(&facts);
        if waived.contains(rule.id) {
            if !findings.is_empty() {
                used.insert(rule.id);
            }
            continue;
        }
        for finding in findings {
            let severity = if finding.only_warn {
                Severity::Warning
            } else {
                rule.severity()
            };
            let diagnostic = checker.rule(rule.id, severity, &finding.path, finding.message);
            diagnostic.hint(rule.cure);
            diagnostic.label = finding.label;
        }
    }
    check_waivers(site, &used, checker);
}

fn check_waivers(site: &Site, used: &BTreeSet<&str>, checker: &mut Checker<'_, '_>) {
    let mut seen = BTreeSet::new();
    for (index, waiver) in site.waivers.iter().enumerate() {
        let path = format!("waivers.{index}.rule");
        match find(&waiver.rule) {
            Ok(rule) if rule.id == waiver.rule => {
                if !seen.insert(rule.id) {
                    checker.conflict(&path, format!("a second waiver of `{}`", rule.id));
                } else if !used.contains(rule.id) {
                    checker
                        .rule(
                            "useless-waiver",
                            Severity::Warning,
                            &path,
                            format!("nothing breaks `{}`", rule.id),
                        )
                        .hint("remove the waiver, it would hide the next one");
                }
            }
            near => {
                let near = near.map_or_else(|near| near, |rule| Some(rule.id));
                let diagnostic = checker.bad(&path, format!("there is no rule `{}`", waiver.rule));
                if let Some(near) = near {
                    diagnostic.label(format!("did you mean `{near}`?"));
                }
            }
        }
        if waiver.reason.trim().is_empty() {
            checker
                .bad(
                    &format!("waivers.{index}.reason"),
                    "the waiver's `reason` is empty".to_owned(),
                )
                .hint("write why the rule may be broken here");
        }
    }
}
