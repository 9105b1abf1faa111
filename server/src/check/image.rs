//! Images: their kernels and initramfs, their keys, and the image files themselves.

use std::fs::File;
use std::path::{Component, Path};

use diskless::error::Code;
use diskless::steps::luks::describe::{Description, describe};

use super::Level::{Error, Warning};
use super::found::Found;
use super::rule::{Rule, Run};
use super::view::{Plan, View};
use crate::site::file::Image;

pub const RULES: &[Rule] = &[
    Rule {
        code: "image-incomplete",
        level: Error,
        doc: "An image has a kernel and an initramfs.",
        advice: "name a file below server.files, or a URL",
        run: Run::Site(incomplete),
    },
    Rule {
        code: "image-unserved",
        level: Error,
        doc: "A kernel or initramfs that is no URL is a path below `server.files`, which is set.",
        advice: "set server.files, and name the file by its path below it, without `..`",
        run: Run::Site(unserved),
    },
    Rule {
        code: "image-key",
        level: Error,
        doc: "The boot plan says where the key of the image is.",
        advice: "set plan.luks.key.file or plan.luks.key.url of the image",
        run: Run::Site(key),
    },
    Rule {
        code: "image-file",
        level: Error,
        doc: "Kernel and initramfs are there, below `server.files`, and not empty.",
        advice: "copy the file to where it is looked for, or correct its name; this server must be able to read it",
        run: Run::Files(missing),
    },
    Rule {
        code: "disk-unreadable",
        level: Warning,
        doc: "An image's `disk` is a file that can be read.",
        advice: "let this server read it, or take `disk` out: it is for checks only",
        run: Run::Files(unreadable),
    },
    Rule {
        code: "disk-luks",
        level: Error,
        doc: "An image's `disk` begins with a LUKS header that the agent can use, unless the header is detached.",
        advice: "see `diskless luks dump FILE`; name the image that the target exports",
        run: Run::Files(not_luks),
    },
    Rule {
        code: "disk-uuid",
        level: Error,
        doc: "`luks.uuid` of the boot plan is the UUID in the LUKS header of the image's `disk`.",
        advice: "correct luks.uuid in the plan, or `disk`: one of them is of another image",
        run: Run::Files(uuid),
    },
];

/// Kernel and initramfs of all images: the object, and the text.
pub(super) fn files<'a>(view: &View<'a>) -> impl Iterator<Item = (String, &'a str)> {
    view.site.file.images.iter().flat_map(|(name, image)| {
        let members = [("kernel", &image.kernel), ("initramfs", &image.initramfs)];
        members.map(|(member, text)| (format!("image {name} {member}"), text.as_str()))
    })
}

/// Whether it is elsewhere, not below `server.files`.
pub(super) fn is_elsewhere(text: &str) -> bool {
    text.contains("://")
}

fn incomplete(view: &View<'_>, found: &mut Found) {
    for (object, _) in files(view).filter(|(_, text)| text.is_empty()) {
        found.at(object, "is not set");
    }
}

/// Those that are to be below `server.files`.
fn served<'a>(view: &View<'a>) -> impl Iterator<Item = (String, &'a Path)> {
    files(view)
        .filter(|(_, text)| !text.is_empty() && !is_elsewhere(text))
        .map(|(object, text)| (object, Path::new(text)))
}

fn is_below(path: &Path) -> bool {
    path.components().all(|part| matches!(part, Component::Normal(_)))
}

fn unserved(view: &View<'_>, found: &mut Found) {
    for (object, path) in served(view) {
        if view.site.file.server.files.is_none() {
            found.at(object, format!("{} is a file, and server.files is not set", path.display()));
        } else if !is_below(path) {
            found.at(object, format!("{} is not a path below server.files", path.display()));
        }
    }
}

/// Whether the plan says where the key is.
pub(super) fn has_key(plan: &Plan<'_>) -> bool {
    plan.text("/luks/key/file").or(plan.text("/luks/key/url")).is_some()
}

fn key(view: &View<'_>, found: &mut Found) {
    for plan in view.plans.iter().filter(|plan| !has_key(plan)) {
        let message = format!("nothing says where the key of image {} is", plan.image);
        found.node(&plan.node.name, "luks.key", message);
    }
}

fn missing(view: &View<'_>, found: &mut Found) {
    let Some(folder) = &view.site.file.server.files else { return };
    for (object, path) in served(view).filter(|(_, path)| is_below(path)) {
        let path = folder.join(path);
        match std::fs::metadata(&path) {
            Ok(metadata) if !metadata.is_file() => found.at(object, format!("{} is no file", path.display())),
            // A BIOS boots a kernel with an empty initramfs, which then hangs without a word.
            Ok(metadata) if metadata.len() == 0 => found.at(object, format!("{} is empty", path.display())),
            // Opening tells what metadata does not: whether this server may read it.
            Ok(_) => {
                if let Err(error) = File::open(&path) {
                    found.at(object, format!("{}: {error}", path.display()));
                }
            }
            Err(error) => found.at(object, format!("{}: {error}", path.display())),
        }
    }
}

/// What is said about the disk of an image.
enum Disk {
    Unreadable(String),
    NotLuks(String),
    Luks(Box<Description>),
}

/// The images with a disk.
fn disks<'a>(view: &View<'a>) -> impl Iterator<Item = (&'a str, Disk)> {
    let disk = |image: &'a Image| image.disk.as_deref().map(look);
    view.site.file.images.iter().filter_map(move |(name, image)| Some((name.as_str(), disk(image)?)))
}

fn look(path: &Path) -> Disk {
    let shown = path.display().to_string();
    // Only plain files: opening a device may wait, or start something.
    match std::fs::metadata(path) {
        Err(error) => return Disk::Unreadable(format!("{shown}: {error}")),
        Ok(metadata) if !metadata.is_file() => return Disk::Unreadable(format!("{shown} is no plain file")),
        Ok(_) => (),
    }
    let described = match File::open(path) {
        Ok(mut file) => describe(&mut file, &shown),
        Err(error) => return Disk::Unreadable(format!("{shown}: {error}")),
    };
    match described {
        Ok(Description { problem: Some(problem), .. }) => Disk::NotLuks(problem),
        Ok(description) => Disk::Luks(Box::new(description)),
        Err(error) if error.code() == Code::Io => Disk::Unreadable(error.to_string()),
        Err(error) => Disk::NotLuks(error.to_string()),
    }
}

fn unreadable(view: &View<'_>, found: &mut Found) {
    for (name, disk) in disks(view) {
        if let Disk::Unreadable(why) = disk {
            found.at(format!("image {name} disk"), why);
        }
    }
}

fn not_luks(view: &View<'_>, found: &mut Found) {
    for (name, disk) in disks(view) {
        let detached = view
            .site
            .file
            .images
            .get(name)
            .is_some_and(|image| image.plan.get("luks").is_some_and(|luks| luks.get("header").is_some()));
        if let (Disk::NotLuks(why), false) = (disk, detached) {
            found.at(format!("image {name} disk"), why);
        }
    }
}

fn uuid(view: &View<'_>, found: &mut Found) {
    for (name, disk) in disks(view) {
        let Disk::Luks(header) = disk else { continue };
        for plan in view.plans.iter().filter(|plan| plan.image == name) {
            // Of a detached header the UUID is not to be had here.
            if let Some(uuid) = plan.text("/luks/uuid")
                && plan.document.pointer("/luks/header").is_none()
                && !uuid.eq_ignore_ascii_case(&header.uuid)
            {
                let message = format!("{uuid}, and image {name} disk has {}", header.uuid);
                found.node(&plan.node.name, "luks.uuid", message);
            }
        }
    }
}
