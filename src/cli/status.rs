//! `diskless status`.

mod text;
mod watch;

use lexopt::{Arg, Parser};
use serde::Serialize;

use super::{Failed, print};
use crate::engine::configured::configured;
use crate::engine::host::Host;
use crate::engine::state::{self, State};
use crate::error::{Code, Context, Error, Result};
use crate::exit::undo;
use crate::input::trap::{Mode, OnFailure, Trap};
use crate::keeper::{self, Journal};
use crate::report::brief::Brief;
use crate::steps::overlay::usage::Usage;

pub(super) const HELP: &str = "\
usage: diskless status [--watch | --json | --short | --prompt]

Says where the boot stands: the node, each step, what is awaited, since when and for how long still, what failed and why,
what the keeper keeps, how full the writable layer is, and which commands are of use now. Without a journal it says what of
the boot's work the kernel has.

  --watch      go on showing it until all steps are done; where that is no terminal, a line for each change
  --json       the journal as it is, for scripts
  --short      node, step, cause and next command, as a shell greets with them
  --prompt     the node, and the step with its error code, as a shell's prompt has them
";

/// How it is to be said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    Full,
    Watch,
    Json,
    Short,
    Prompt,
}

/// Says where the boot stands.
pub fn main(args: &mut Parser, host: &Host) -> Result<(), Failed> {
    let mut how = How::Full;
    while let Some(arg) = args.next()? {
        how = match arg {
            Arg::Short('h') | Arg::Long("help") => return print(HELP),
            Arg::Long("watch") if how == How::Full => How::Watch,
            Arg::Long("json") if how == How::Full => How::Json,
            Arg::Long("short") if how == How::Full => How::Short,
            Arg::Long("prompt") if how == How::Full => How::Prompt,
            other => return Err(other.unexpected().into()),
        }
    }
    let state = || State::read(&host.path(state::FILE));
    match how {
        How::Watch => watch::watch(host),
        How::Json => print(&json(host, state()?.as_ref())?),
        // A shell greets, and has a prompt, whatever is wrong.
        How::Short => print(&Brief::of(host, state().ok().flatten().as_ref()).greeting(host.now())),
        How::Prompt => print(&prompt(&Brief::of(host, state().ok().flatten().as_ref()))),
        How::Full => match state()? {
            Some(state) => print(&full(host, &state)),
            None => print(&observed(host)?),
        },
    }
}

/// All there is to say to people.
fn full(host: &Host, state: &State) -> String {
    let brief = Brief::of(host, Some(state));
    // What is wrong with the configuration, the boot has said.
    let trap = configured(host).map(|(cmdline, _)| Trap::read(&cmdline).0).unwrap_or_default();
    // A journal of the keeper's that cannot be read hides nothing of the boot's.
    let keeper = Journal::read(&host.path(keeper::FILE)).unwrap_or_default();
    let layer = Usage::observe(host).unwrap_or_default();
    [
        text::head(&brief, state, &driven(&trap), host.now()),
        text::steps(state),
        layer.as_ref().map(Usage::describe).unwrap_or_default(),
        keeper.as_ref().map(text::keeper).unwrap_or_default(),
        text::next(&brief),
    ]
    .concat()
}

/// How the boot is driven, where that is not as usual: `, mode trap, on_failure retry`.
fn driven(trap: &Trap) -> String {
    let mode = match trap.mode {
        Mode::Auto => "",
        Mode::Trap => ", mode trap",
        Mode::Off => ", mode off",
    };
    let count = |count: Option<u32>| count.map_or_else(String::new, |count| format!(":{count}"));
    let then = match trap.on_failure {
        OnFailure::Trap => String::new(),
        OnFailure::Retry(most) => format!(", on_failure retry{}", count(most)),
        OnFailure::Reboot(most) => format!(", on_failure reboot{}", count(most)),
        OnFailure::PowerOff => ", on_failure poweroff".to_owned(),
    };
    format!("{mode}{then}")
}

/// `node1 diskless[iscsi: timeout]`
fn prompt(brief: &Brief) -> String {
    let at = brief.prompt();
    let at = if at.is_empty() { at } else { format!("[{at}]") };
    format!("{} diskless{at}\n", brief.node)
}

/// Without a journal: what the kernel has of the boot's work.
///
/// # Errors
/// [`Code::NotRun`]: nothing.
fn observed(host: &Host) -> Result<String> {
    let found = undo::found(host);
    if found.is_empty() {
        return Err(Error::new(Code::NotRun, host.path(state::FILE).display().to_string()));
    }
    let lines: String = found.iter().map(|what| format!("  {what}\n")).collect();
    Ok(format!("there is no journal ({}); the kernel has of the boot's work:\n{lines}", state::FILE))
}

/// Both journals: the boot's as it is, and in it that of the keeper. And how full the writable layer is now.
#[derive(Serialize)]
struct All<'a> {
    #[serde(flatten)]
    state: Option<&'a State>,
    /// Since the node's boot, as the times of the journal are.
    now_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    layer: Option<&'a Usage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    keeper: Option<&'a Journal>,
    /// Without a journal: what the kernel has.
    #[serde(skip_serializing_if = "Option::is_none")]
    observed: Option<Vec<String>>,
}

fn json(host: &Host, state: Option<&State>) -> Result<String> {
    let observed = state.is_none().then(|| undo::found(host));
    if observed.as_ref().is_some_and(Vec::is_empty) {
        return Err(Error::new(Code::NotRun, host.path(state::FILE).display().to_string()));
    }
    let keeper = Journal::read(&host.path(keeper::FILE)).unwrap_or_default();
    let layer = Usage::observe(host).unwrap_or_default();
    let now_ms = u64::try_from(host.now().as_millis()).unwrap_or(u64::MAX);
    let all = All { state, now_ms, layer: layer.as_ref(), keeper: keeper.as_ref(), observed };
    let text = serde_json::to_string_pretty(&all).context(Code::Io, state::FILE)?;
    Ok(format!("{text}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::state::Status;
    use crate::input::cmdline::Cmdline;

    fn machine(files: &[(&str, &str)]) -> (tempfile::TempDir, Host) {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let host = Host::fake(root.path());
        (root, host)
    }

    #[test]
    fn without_a_journal_the_kernel_is_asked() {
        let (_root, host) = machine(&[]);
        assert_eq!(observed(&host).unwrap_err().code(), Code::NotRun);
        assert_eq!(json(&host, None).unwrap_err().code(), Code::NotRun);
        let (_root, host) = machine(&[
            ("sys/class/iscsi_session/session1/state", "LOGGED_IN\n"),
            ("proc/self/mountinfo", "5 1 0:4 / /run/diskless/rw rw - ext4 /dev/zram0 rw\n"),
        ]);
        assert!(observed(&host).unwrap().ends_with(":\n  mount /run/diskless/rw\n  iSCSI session 1\n"));
        let all: serde_json::Value = serde_json::from_str(&json(&host, None).unwrap()).unwrap();
        assert_eq!(all["observed"][1], "iSCSI session 1");
    }

    #[test]
    fn scripts_get_both_journals() {
        let keeper = r#"{"version":1,"pid":211,"doing":"keeping","wakes":3,"portals":[],"events":[],
            "memory":{"anonymous":1,"resident":2,"locked":0}}"#;
        let (_root, host) = machine(&[("run/diskless/keeper.json", keeper)]);
        let state = State { status: Status::Done, ..State::new("b".into(), 1) };
        let all: serde_json::Value = serde_json::from_str(&json(&host, Some(&state)).unwrap()).unwrap();
        assert_eq!((&all["run"], &all["keeper"]["pid"], &all["now_ms"]), (&1.into(), &211.into(), &0.into()));
        assert_eq!(all.get("observed"), None);
    }

    #[test]
    fn a_prompt_names_node_step_and_code() {
        let (_root, host) = machine(&[("proc/sys/kernel/hostname", "node1\n")]);
        let mut state = State::new(String::new(), 1);
        let at = |state: &State| prompt(&Brief::of(&host, Some(state)));
        assert_eq!(at(&state), "node1 diskless\n");
        state.status = Status::Failed;
        assert_eq!(at(&state), "node1 diskless[failed]\n");
    }

    #[test]
    fn how_the_boot_is_driven() {
        let how = |text: &str| driven(&Trap::read(&Cmdline::parse(text)).0);
        assert_eq!(how("quiet"), "");
        assert_eq!(
            how("rd.diskless=trap rd.diskless.on_failure=reboot:5"),
            ", mode trap, on_failure reboot:5"
        );
    }
}
