//! The dracut module does what its page says, with what dracut 049 and 107 both have.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;

const SETUP: &str = include_str!("../dracut-module/95diskless/module-setup.sh");
const PAGE: &str = include_str!("../docs/dracut-module.md");

/// The words between backquotes.
fn quoted(text: &str) -> BTreeSet<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

#[test]
fn the_page_lists_the_network_drivers() {
    let (_, list) = SETUP.split_once("\ndiskless_nics=\"").unwrap();
    let installed: BTreeSet<&str> = list.split('"').next().unwrap().split_whitespace().collect();
    let (_, table) = PAGE.split_once("| maker | drivers |").unwrap();
    let listed = quoted(table.split("\n\n").next().unwrap());
    assert!(installed.len() > 50);
    assert_eq!(installed, listed);
}

#[test]
fn the_page_names_what_can_be_set() {
    for name in ["DISKLESS_BIN", "DISKLESS_UNITS", "diskless_mkfs_xfs", "diskless_sshd", "diskless_tools"] {
        assert!(SETUP.contains(&format!("{{{name}")), "{name} in the module");
        assert!(PAGE.contains(name), "{name} on the page");
    }
}

/// Functions that dracut has for the setup of modules in version 049 as well as in 107 (dracut-init.sh,
/// dracut-functions.sh, dracut-logger.sh), as far as a module may want them.
const FOR_SETUP: &str = "dracut_module_included dracut_need_initqueue ddebug derror dfatal dinfo dwarn find_binary inst \
    inst_any inst_binary inst_dir inst_hook inst_libdir_file inst_multiple inst_rules inst_script inst_simple inst_symlink \
    instmods is_func require_any_binary require_binaries strstr";
/// And for hooks in the initramfs (dracut-lib.sh).
const FOR_HOOKS: &str = "die getarg getargbool getargs info source_hook strstr vinfo vwarn wait_for_dev warn";
/// Programs and the shell's own words that the scripts use. What is not here is a function of dracut's, or a slip.
const OTHERS: &str = ". [ [[ : break case chmod continue do done echo elif else esac eval exec exit export false fi find for \
    grep if in ip ln local mkdir \
    printf read return rm rmdir sed set sleep then true unset until while diskless function";
/// The variables of dracut's that both versions have.
const VARIABLES: &str = "add_dracutmodules dracutmodules force_add_dracutmodules hookdir hostonly initdir moddir \
    outfile srcmods systemdsystemunitdir NEWROOT";
/// One that 049 does not have: there it is empty, as on a machine that builds for itself.
const SYSROOT: &str = "dracutsysrootdir";

fn words(list: &str) -> BTreeSet<&str> {
    list.split_whitespace().collect()
}

/// A script without comments and without what stands in quotes, which no command begins with.
fn bare(script: &str) -> String {
    let mut bare = String::new();
    let (mut quote, mut comment, mut before) = (None, false, '\n');
    for c in script.chars() {
        match (quote, c) {
            (None, '\n') => comment = false,
            (None, '#') if before.is_whitespace() => comment = true,
            (None, '\'' | '"') if !comment => quote = Some(c),
            (Some(open), _) if open == c => quote = None,
            _ => (),
        }
        if quote.is_none() && !comment {
            bare.push(if matches!(c, '\'' | '"') { '_' } else { c });
        }
        before = c;
    }
    bare
}

/// The first words of the commands in a script: what it calls.
fn calls(script: &str) -> BTreeSet<String> {
    let bare = bare(script);
    let mut calls = BTreeSet::new();
    // In a [[ ]] there are operators, but no commands.
    for command in bare.split(['\n', ';', '|', '&', '(']) {
        for word in command.split_whitespace() {
            let keyword =
                matches!(word, "if" | "then" | "else" | "elif" | "do" | "while" | "until" | "!" | "{" | "}");
            let assignment = word.split_once('=').is_some_and(|(name, _)| {
                !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            });
            if keyword || assignment {
                continue;
            }
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'[' | b':');
            if word.bytes().all(plain) {
                calls.insert(word.to_owned());
            }
            break;
        }
    }
    calls
}

/// The names that functions of a script have.
fn functions(script: &str) -> BTreeSet<String> {
    let names = script.lines().filter_map(|line| line.trim_start().split_once("() {"));
    names.map(|(name, _)| name.to_owned()).collect()
}

/// The scripts of the module: of its setup, and of its hooks.
fn scripts() -> Vec<(String, String)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/dracut-module/95diskless");
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let scripts = entries.filter(|path| path.extension().is_some_and(|extension| extension == "sh"));
    let name = |path: &std::path::Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    scripts.map(|path| (name(&path), std::fs::read_to_string(&path).unwrap())).collect()
}

#[test]
fn the_scripts_call_nothing_that_one_of_the_versions_lacks() {
    let scripts = scripts();
    assert!(scripts.len() >= 4);
    let own: BTreeSet<String> = scripts.iter().flat_map(|(_, script)| functions(script)).collect();
    for (name, script) in &scripts {
        let of_dracut = words(if name == "module-setup.sh" { FOR_SETUP } else { FOR_HOOKS });
        let others = words(OTHERS);
        for call in calls(script) {
            let known = of_dracut.contains(&*call) || others.contains(&*call) || own.contains(&call);
            let label = call.ends_with('.') || call.contains(".diskless");
            assert!(known || label, "{name} calls {call}: do dracut 049 and 107 both have it?");
        }
    }
    let calls = calls(SETUP);
    for call in ["inst_simple", "inst_hook", "instmods", "derror", "dinfo"] {
        assert!(calls.contains(call), "{call} is not seen in {calls:?}");
    }
}

#[test]
fn the_setup_uses_no_variable_that_one_of_the_versions_lacks() {
    let known = words(VARIABLES);
    for part in SETUP.split('$').skip(1) {
        let name = part.trim_start_matches(['{', '(']);
        let name = name.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap();
        let own = SETUP.contains(&format!("{name}=")) || SETUP.contains(&format!("local {name}"));
        let local = ["for", "local"].iter().any(|word| {
            SETUP.lines().any(|line| {
                line.trim_start().starts_with(word) && line.split([' ', ';']).any(|word| word == name)
            })
        });
        let of_caller = name.bytes().all(|byte| byte.is_ascii_digit())
            || matches!(name, "DISKLESS_BIN" | "DISKLESS_UNITS" | "IN_KDUMP" | "diskless_mkfs_xfs")
            || matches!(name, "diskless_sshd" | "diskless_tools");
        assert!(
            own || local || of_caller || known.contains(name) || name == SYSROOT || part.starts_with('('),
            "${name}: do dracut 049 and 107 both have it?"
        );
    }
}

#[test]
fn calls_are_seen_wherever_a_command_begins() {
    let script = "# die\nif a_b; then x='die' c_d \"die\"; fi\n[[ -e $x ]] || e_f $(g_h die)\ni_j() {\n  k_l && ! m_n\n}\n";
    let calls = calls(script);
    let expected = ["[[", "a_b", "c_d", "e_f", "fi", "g_h", "i_j", "k_l", "m_n"];
    assert_eq!(calls.iter().map(String::as_str).collect::<Vec<_>>(), expected);
}

/// Runs functions of the module's setup as dracut does, with dracut's variables set by `variables`.
fn setup(variables: &str, calls: &str) -> String {
    let script = format!(
        "derror() {{ echo error; }}; dinfo() {{ echo info; }}; inst_simple() {{ echo installed; }}
         inst_hook() {{ :; }}; inst_multiple() {{ :; }}; instmods() {{ echo modules; }}; dracut_module_included() {{ false; }}
         DISKLESS_BIN=/bin/sh; initdir=$1; srcmods=$1; hostonly=; {variables}
         . dracut-module/95diskless/module-setup.sh; {calls}"
    );
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("modules.dep"), "kernel/fs/ext4/ext4.ko:\n").unwrap();
    let mut bash = std::process::Command::new("bash");
    bash.arg("-c").arg(script).arg("setup").arg(folder.path()).current_dir(env!("CARGO_MANIFEST_DIR"));
    let output = bash.output().unwrap();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn it_stays_out_of_an_initramfs_for_kdump_and_does_not_stop_it() {
    let all = "check; echo $?; depends; installkernel; install; echo $?";
    for kdump in [
        "add_dracutmodules=' diskless kdumpbase '",
        "force_add_dracutmodules='kdump'",
        "dracutmodules='base kdumpbase'",
        "IN_KDUMP=1",
    ] {
        // A module that is to be added and refuses, dracut 049 to 107 end with an error: check() says 255, as ever.
        assert_eq!(setup(kdump, all), "255\ninfo\n0\n", "{kdump}");
    }
    for other in ["add_dracutmodules=' diskless '", "add_dracutmodules='earlykdump'", "dracutmodules=all"] {
        let text = setup(other, all);
        assert!(
            text.starts_with("255\nsystemd-initrd ") && text.contains("modules\ninstalled\n"),
            "{other}: {text}"
        );
    }
}

/// A root with these programs, as far as the setup is concerned: what dracut's functions are asked for is printed.
fn install(has: &[&str], variables: &str) -> String {
    let found = has.iter().map(|name| format!("{name}) return 0 ;; ")).collect::<String>();
    let functions = format!(
        "find_binary() {{ case $1 in {found}*) return 1 ;; esac; }}; inst_multiple() {{ echo programs \"$@\"; }}
         inst_simple() {{ echo \"file ${{2-$1}}\"; }}; inst_libdir_file() {{ echo \"library $*\"; }}
         dwarn() {{ echo \"warning $*\"; }}; derror() {{ echo \"error $*\"; }}; dracutsysrootdir=$1/root
         systemdsystemunitdir=/usr/lib/systemd/system; outfile=$1/image"
    );
    setup(
        &format!("{functions}; {variables}"),
        "mkdir -p $1/etc $1/root/etc/diskless; touch $1/root/etc/diskless/ssh_host_rsa_key; install; cat $1/etc/passwd 2>&1;
         readlink $1/usr/lib/systemd/system/diskless.service.wants/*",
    )
}

#[test]
fn sshd_comes_with_its_user_and_its_units_and_beside_the_agent_alone() {
    let text = install(&["sshd"], "diskless_sshd=yes");
    for line in [
        "programs sshd",
        "file /usr/lib/systemd/system/diskless-sshd.service",
        "file /usr/lib/systemd/system/diskless-sshd.path",
        "sshd:x:74:74::/var/empty/sshd:/sbin/nologin",
        "../diskless-sshd.path",
        "../diskless-sshd.service",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}: {text}");
    }
    assert!(!text.contains("warning"), "{text}");
    assert!(install(&[], "diskless_sshd=yes").contains("error diskless: diskless_sshd=yes"));
    for no in ["", "diskless_sshd=no"] {
        assert!(!install(&["sshd"], no).contains("diskless-sshd"));
    }
}

#[test]
fn host_keys_in_an_image_that_everybody_can_read_are_warned_of() {
    let with =
        |mode: &str| install(&["sshd"], &format!("diskless_sshd=yes; touch $1/image; chmod {mode} $1/image"));
    assert!(with("644").contains("warning diskless: everybody can read"));
    assert!(!with("600").contains("warning"));
}

#[test]
fn tools_that_are_not_there_are_named_and_not_missed() {
    let text = install(&["iscsiadm", "lvm"], "diskless_tools=yes");
    assert!(text.contains("programs iscsiadm\n") && text.contains("programs lvm\n"), "{text}");
    let warning = text.lines().find(|line| line.starts_with("warning")).unwrap();
    assert!(warning.contains(" multipathd ") && warning.contains(" kexec ") && !warning.contains(" lvm "));
    // Their units and rules would lay hands on the agent's disks.
    assert!(text.contains("file /etc/systemd/system/iscsid.socket"));
    for theirs in ["rules", "multipathd.service", "multipath.conf", "iscsid.conf", "lvm.conf"] {
        assert!(!text.contains(theirs), "{theirs}: {text}");
    }
}
