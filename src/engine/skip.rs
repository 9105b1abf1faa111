//! What a boot can do without, when an operator says so, and why not the rest.

use crate::error::{Code, Error, Result};
use crate::input::document::{Document, HostKeys};

/// What can be skipped, and what the node then lacks.
pub const SKIPPED: &[(&str, &str)] = &[
    ("report", "no event of this boot is posted, nor that the node is up"),
    ("modules", "the new root is not looked at for modules of the running kernel"),
    ("exit", "nothing of diskless takes the node apart at its end"),
    ("handover.files", "the files of the plan are not written into the new root"),
    ("handover.services", "the units of the plan are not enabled in the new root"),
    ("handover.ssh_host_keys", "the node has an SSH host key of this boot alone"),
    ("cloud_init", "cloud-init of the image goes by what the image has"),
];

/// Why a step is not skipped.
const NEEDED: &[(&str, &str)] = &[
    ("network", "without it neither plan nor disk are reached"),
    ("plan", "without it nobody knows what to boot; `diskless plan --try FILE` gives the boot another one"),
    ("iscsi", "without the session there is no disk"),
    ("multipath", "the steps behind it want its map; rd.multipath=0 boots without one"),
    ("keeper", "without it a lost connection is never made anew, and the root hangs"),
    ("luks", "without the opened disk there is no root"),
    ("volumes", "without them there is nothing to mount"),
    ("zram", "without it there is nothing that the root could write to"),
    ("overlay", "it is the root"),
    ("handover", "without it the image's iscsid and multipathd break the root; its parts can be skipped"),
];

/// The word for what `what` names, if that can be skipped.
///
/// # Errors
/// [`Code::NotSkipped`] with the reason; none: there is no such thing at all.
pub fn skipped(what: &str) -> Option<Result<&'static str>> {
    if let Some((word, _)) = SKIPPED.iter().find(|(word, _)| *word == what) {
        return Some(Ok(word));
    }
    let (step, why) = NEEDED.iter().find(|(step, _)| *step == what)?;
    Some(Err(Error::new(Code::NotSkipped, *step).because(*why)))
}

/// `document` without what is skipped of it.
#[must_use]
pub fn without(mut document: Document, skip: &[String]) -> Document {
    let skipped = |what: &str| skip.iter().any(|skip| skip == what);
    if skipped("report") {
        document.report = None;
    }
    if skipped("handover.files") {
        document.handover.files.clear();
    }
    if skipped("handover.services") {
        document.handover.services.clear();
    }
    if skipped("handover.ssh_host_keys") {
        document.handover.ssh_host_keys = HostKeys::default();
    }
    if skipped("cloud_init") {
        document.cloud_init = None;
    }
    document
}

/// Whether the step `name` is left out.
pub fn leaves_out(skip: &[String], name: &str) -> bool {
    skip.iter().any(|skip| skip == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::STEPS;

    #[test]
    fn every_step_is_skipped_or_it_is_said_why_not() {
        for step in STEPS {
            match skipped(step).unwrap() {
                Ok(word) => assert_eq!(word, *step),
                Err(error) => {
                    assert_eq!(error.code(), Code::NotSkipped);
                    assert!(error.to_string().starts_with(&format!("{step}: ")), "{error}");
                }
            }
        }
        assert!(skipped("handover.files").unwrap().is_ok());
        assert!(skipped("dance").is_none());
    }

    #[test]
    fn what_is_skipped_is_not_in_the_plan() {
        let text = include_str!("../../docs/plan.md");
        let example = text.split("```json\n").nth(2).unwrap().split("```").next().unwrap();
        let full = || {
            let mut document = Document::parse(example.as_bytes()).unwrap();
            document.handover.services = vec!["a".into()];
            document
        };
        assert!(full().report.is_some() && !full().handover.files.is_empty());
        let skip: Vec<String> = SKIPPED.iter().map(|(word, _)| (*word).to_owned()).collect();
        let without_all = without(full(), &skip);
        assert!(without_all.report.is_none() && without_all.cloud_init.is_none());
        let handover = &without_all.handover;
        assert!(
            handover.files.is_empty() && handover.services.is_empty() && handover.ssh_host_keys.is_empty()
        );
        let same = without(full(), &["exit".to_owned()]);
        assert!(
            same.report.is_some() && !same.handover.files.is_empty() && same.handover.services.len() == 1
        );
        assert!(leaves_out(&skip, "exit") && leaves_out(&skip, "modules"));
        assert!(!leaves_out(&skip, "luks") && !leaves_out(&[], "exit"));
    }
}
