//! Decides whether modules are missing, and what that means.

use super::observe::Seen;
use super::{Nothing, Step};
use crate::engine::converge::Next;
use crate::error::{Code, Error, Result};

pub fn plan(step: &Step, seen: &Seen) -> Result<Next<Nothing>> {
    let release = &seen.release;
    Ok(Next::Done(match missing(seen) {
        Some(error) if step.required => return Err(error),
        Some(_) => format!("no modules of {release}"),
        None if seen.there => format!("modules of {release} are there"),
        None => format!("{release} has loaded none, and needs none of the new root"),
    }))
}

/// That the modules are missing, if they are, and somebody will miss them.
pub fn missing(seen: &Seen) -> Option<Error> {
    if seen.there || !seen.loads {
        return None;
    }
    let cause = match seen.others.as_slice() {
        [] => "it has none at all".to_owned(),
        others => format!("it has those of {}", others.join(", ")),
    };
    Some(Error::new(Code::KernelModules, format!("/lib/modules/{}", seen.release)).because(cause))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen() -> Seen {
        Seen { release: "6.1".into(), loads: true, ..Seen::default() }
    }

    #[test]
    fn done_where_they_are_there_or_nobody_needs_them() {
        for required in [false, true] {
            for seen in [Seen { there: true, ..seen() }, Seen { loads: false, ..seen() }] {
                assert!(matches!(plan(&Step { required }, &seen), Ok(Next::Done(_))), "{seen:?}");
                assert!(missing(&seen).is_none());
            }
        }
    }

    #[test]
    fn what_the_image_has_instead_is_named() {
        let object = "/lib/modules/6.1: the new root has no modules of the running kernel: ";
        for (others, cause) in
            [(vec![], "it has none at all"), (vec!["5.10", "6.0"], "it has those of 5.10, 6.0")]
        {
            let others = others.into_iter().map(str::to_owned).collect();
            let error = missing(&Seen { others, ..seen() }).unwrap();
            assert_eq!(error.to_string(), format!("{object}{cause}"));
        }
    }
}
