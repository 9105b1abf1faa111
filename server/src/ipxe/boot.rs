//! The scripts that boot a node.

use diskless::input::url;

use super::script::{FETCHING, INITRAMFS, STALLED, Script, TELLING, percent};
use super::words;
use crate::site::cmdline::Words;
use crate::site::file::{Action, Image};
use crate::site::{Node, Site};

/// Stops before the switch to the new root, when all is mounted; dracut.cmdline(7).
const TRAP: &str = "rd.break=pre-pivot";
/// kernel-command-line(7), for the initramfs alone: a shell, with drivers and the network, and nothing of the boot.
const RESCUE: &str = "rd.systemd.unit=rescue.target rd.systemd.wants=network-online.target rd.shell=1";
/// What a rescue must not have on its command line: with it the agent, or dracut, would act.
const ACTING: &[&str] = &["rd.diskless.plan", "rd.diskless.report", "netroot", "root"];

/// The script that makes `node` do `action`, in its boot number `attempt` since it was last up.
///
/// # Errors
/// Why there is none, for the node's console.
pub(super) fn script(
    site: &Site,
    node: &Node,
    action: Action,
    attempt: Option<u32>,
) -> Result<String, String> {
    let mut script = Script::new(&site.file.server.url, &node.name);
    if action == Action::Local {
        local(&mut script, node);
    } else {
        let name = node.image.as_deref().ok_or("the site has no image for it")?;
        let image = site.file.images.get(name).ok_or_else(|| format!("there is no image {name}"))?;
        from_image(&mut script, site, node, (name, image), (action, attempt))?;
    }
    Ok(script.ask_again())
}

/// From the first disk of a BIOS, or from what comes next in the boot order of UEFI: there a boot that ends without an
/// error opens the firmware's menu (UEFI 2.10, section 3.1.1).
fn local(script: &mut Script, node: &Node) {
    script.say(&format!("{}: boot from its own disk", node.name));
    script.line("iseq ${platform} efi || goto bios");
    script.line("exit 1");
    script.line(":bios");
    script.line("sanboot --no-describe --drive 0x80 ||");
    script.line("echo There is no system on the first disk.");
}

fn from_image(
    script: &mut Script,
    site: &Site,
    node: &Node,
    (name, image): (&str, &Image),
    (action, attempt): (Action, Option<u32>),
) -> Result<(), String> {
    let server = site.file.server.url.trim_end_matches('/');
    if !url::is_url(server) {
        return Err("the site has no URL of its server (server.url)".to_owned());
    }
    let kernel = file(server, &image.kernel).map_err(|why| format!("the kernel of image {name} {why}"))?;
    let initramfs =
        file(server, &image.initramfs).map_err(|why| format!("the initramfs of image {name} {why}"))?;
    let command_line = command_line(server, node, action, attempt)?;

    let what = match action {
        Action::Trap => ", up to the trap",
        Action::Rescue => ", for its rescue shell",
        Action::Boot | Action::Local => "",
    };
    script.say(&format!("{}: boot of image {name}{what}", node.name));
    if node.static_ip {
        script.line("isset ${netX/dns} && set nameserver nameserver=${netX/dns} ||");
    }
    script.line("set tries:int32 0");
    script.line(":fetch");
    // What is left of an attempt would be an initramfs of the next one.
    script.line("imgfree ||");
    script.line(&format!("kernel --timeout {STALLED} {kernel} {command_line} || goto failed"));
    script.line(&format!("initrd --timeout {STALLED} --name {INITRAMFS} {initramfs} || goto failed"));
    // A GET, for older iPXE has no other way. Its answer would be an initramfs as well.
    let told = format!("{server}/phone_home/kernel?hostname={}", percent(&node.name));
    script.line(&format!("imgfetch --timeout {TELLING} --name told {told} && imgfree told ||"));
    script.line("boot ||");
    script.line(":failed");
    script.wait("tries", &FETCHING);
    script.line(&format!("iseq ${{tries}} {} || goto fetch", FETCHING.len()));
    script.line("goto ask");
    Ok(())
}

/// Where a kernel or an initramfs is.
fn file(server: &str, file: &str) -> Result<String, &'static str> {
    if file.is_empty() {
        return Err("is not named in the site");
    }
    if !file.contains("://") {
        let parts: Vec<String> = file.split('/').filter(|part| !part.is_empty()).map(percent).collect();
        return Ok(format!("{server}/files/{}", parts.join("/")));
    }
    if url::has_account(file) {
        return Err("has an account in its URL, which everybody could read");
    }
    // Of what a URL may be, iPXE takes this alone for something else.
    if !url::is_url(file) || file.contains("${") {
        return Err("has no URL that iPXE can fetch");
    }
    Ok(file.to_owned())
}

fn command_line(server: &str, node: &Node, action: Action, attempt: Option<u32>) -> Result<String, String> {
    let name = percent(&node.name);
    let (plan, report) = (format!("{server}/plan/{name}"), format!("{server}/report/{name}"));
    // A comma stands between two URLs there.
    let mut own = format!(
        "rd.diskless.plan={} rd.diskless.report={}",
        plan.replace(',', "%2C"),
        report.replace(',', "%2C")
    );
    // For rd.diskless.on_failure=reboot:COUNT.
    if let Some(attempt) = attempt {
        own.push_str(&format!(" rd.diskless.attempt={attempt}"));
    }
    let ours = match action {
        Action::Rescue => "",
        Action::Trap | Action::Boot | Action::Local => own.as_str(),
    };
    let forced = match action {
        Action::Trap => TRAP,
        Action::Rescue => RESCUE,
        Action::Boot | Action::Local => "",
    };
    words::fit(&node.cmdline)?;

    let initrd = format!("initrd={INITRAMFS}");
    // By the hexadecimal hardware type 01, Ethernet, as pxelinux has it.
    let mut settings = "BOOTIF=01-${netX/mac:hexhyp} ".to_owned();
    // The order of dracut.cmdline(7): address, peer, gateway, mask, name, interface, how.
    match node.static_ip {
        true => settings.push_str(&format!(
            "ip=${{netX/ip}}::${{netX/gateway}}:${{netX/netmask}}:{name}::none ${{nameserver}}"
        )),
        false => settings.push_str("ip=dhcp"),
    }
    // The site's words come last, for what follows a `--` among them is not the kernel's; these they cannot replace.
    let mut words = Words::default();
    [initrd.as_str(), forced].into_iter().for_each(|layer| words.add(layer));
    let fixed: Vec<String> = words.by_name().map(|(name, _)| name).collect();
    let mut sites = Words::default();
    sites.add(&node.cmdline);
    sites.remove(&fixed);
    if action == Action::Rescue {
        sites.remove(ACTING);
    }
    [settings.as_str(), ours, &sites.text()].into_iter().for_each(|layer| words.add(layer));
    let text = words.text();
    words::short_enough(&text)?;
    Ok(text)
}
