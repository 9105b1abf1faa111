//! `[[targets]]`: what the node can log in to, and what it finds there.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// `[[targets]]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// The target's name.
    pub iqn: String,
    /// The TCP port; each port is a server of its own.
    #[serde(default = "default_port")]
    pub port: u16,
    /// The subnet in which it listens, at the lab's address there.
    #[serde(default)]
    pub subnet: u8,
    /// Whether its portal runs from the start; a portal runs if all of its targets do.
    #[serde(default = "yes")]
    pub start: bool,
    /// The logical unit that has the image.
    #[serde(default = "default_lun")]
    pub lun: u32,
    /// What the logical unit holds.
    #[serde(default)]
    pub image: Image,
    /// Whether the last octet of the image is another one here.
    #[serde(default)]
    pub altered: bool,
    /// Whether the node may write to it; then it has an image of its own.
    #[serde(default)]
    pub writable: bool,
    /// Bytes of its logical blocks; without it 512.
    pub block_size: Option<u32>,
    /// Its number at its portal; without it the next. tgtd makes the WWID of it and the LUN: the same two at two portals
    /// are, by what they say, one disk.
    pub tid: Option<u32>,
    /// Who may log in; without it anybody.
    pub chap: Option<Chap>,
    /// The only initiator that may log in; without it any.
    pub initiator: Option<String>,
    /// Parameters of tgtd's: digests, burst lengths, redirection.
    #[serde(default)]
    pub params: BTreeMap<String, String>,
}

fn yes() -> bool {
    true
}

pub(super) fn default_port() -> u16 {
    3260
}

pub(super) fn default_lun() -> u32 {
    1
}

/// A CHAP account.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chap {
    /// The name.
    pub username: String,
    /// The secret.
    pub secret: String,
    /// What the target itself answers with; without it it proves nothing.
    pub mutual: Option<Mutual>,
}

/// The target's own account.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mutual {
    /// The name.
    pub username: String,
    /// The secret.
    pub secret: String,
}

/// A disk image: `ENCRYPTION`, `ENCRYPTION-LAYOUT` or `LAYOUT`, which is not encrypted; with `+SOFTWARE` behind it what it
/// boots is another Debian.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Image {
    /// What is around it.
    pub encryption: Encryption,
    /// How it is divided.
    pub layout: Layout,
    /// What is in it.
    pub software: Software,
}

/// How an image is encrypted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Encryption {
    /// Not at all.
    None,
    /// LUKS2, one keyslot by argon2id, one by pbkdf2.
    #[default]
    Luks2,
    /// LUKS1, two keyslots.
    Luks1,
    /// LUKS2; the keyslot by argon2id needs a GiB of memory.
    Argon2Huge,
}

/// What an image boots.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Software {
    /// A small Debian, with open-iscsi, multipath-tools and dracut.
    #[default]
    Debian,
    /// The same with cloud-init.
    CloudInit,
    /// Neither open-iscsi nor multipath-tools, nor dracut: nobody in it knows of iSCSI.
    Neither,
    /// As that, with NetworkManager and ifupdown beside systemd-networkd.
    Networks,
    /// As the first, with sshd and what a virtual machine left in its image: host keys, ids, seeds, leases.
    Sshd,
    /// The same, with SELinux enforcing Debian's policy.
    Selinux,
    /// As the first, but of the next release: the node has that one's kernel, and an initramfs that its dracut made.
    Trixie,
}

impl Software {
    /// The same of `release`; none: there is no such image.
    pub fn on(self, release: Release) -> Option<Software> {
        match (self, release) {
            (Software::Debian, Release::Trixie) => Some(Software::Trixie),
            (software, release) => (software.release() == release).then_some(software),
        }
    }

    /// The release that it is of.
    pub fn release(self) -> Release {
        match self {
            Software::Debian
            | Software::CloudInit
            | Software::Networks
            | Software::Neither
            | Software::Sshd
            | Software::Selinux => Release::Bookworm,
            Software::Trixie => Release::Trixie,
        }
    }
}

/// A release of Debian, by its codename. The tools of the lab are always of the first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Release {
    /// 12: Linux 6.1, systemd 252, dracut 059.
    #[default]
    Bookworm,
    /// 13: Linux 6.12, systemd 257, dracut 106.
    Trixie,
}

impl Release {
    /// The one that is called so.
    pub fn parse(codename: &str) -> Option<Release> {
        [Release::Bookworm, Release::Trixie].into_iter().find(|release| release.codename() == codename)
    }

    /// As archives call it.
    pub fn codename(self) -> &'static str {
        match self {
            Release::Bookworm => "bookworm",
            Release::Trixie => "trixie",
        }
    }
}

/// How an image is divided.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layout {
    /// GPT, one partition, ext4.
    #[default]
    Gpt,
    /// GPT; beside the root there is a physical volume of LVM2, with /var as the logical volume system/var.
    Lvm,
    /// As `Gpt`, with a partition table of the old kind.
    Mbr,
    /// No partitions, ext4.
    Bare,
    /// As `Gpt`, but copied while it was mounted: the journal of the file system is not replayed.
    Unclean,
    /// GPT for blocks of 4096 bytes, whose first copy is damaged; erofs as the root, squashfs as /opt, btrfs as /srv, xfs
    /// as /home, and ext4 as /var in the logical volume system/var, striped over two partitions.
    Many,
}

const ENCRYPTIONS: [(&str, Encryption); 4] = [
    ("plain", Encryption::None),
    ("luks", Encryption::Luks2),
    ("luks1", Encryption::Luks1),
    ("argon2-huge", Encryption::Argon2Huge),
];
const SOFTWARE: [(&str, Software); 6] = [
    ("cloud-init", Software::CloudInit),
    ("neither", Software::Neither),
    ("networks", Software::Networks),
    ("sshd", Software::Sshd),
    ("selinux", Software::Selinux),
    ("trixie", Software::Trixie),
];
const LAYOUTS: [(&str, Layout); 5] = [
    ("lvm", Layout::Lvm),
    ("mbr", Layout::Mbr),
    ("bare", Layout::Bare),
    ("unclean", Layout::Unclean),
    ("many", Layout::Many),
];

impl TryFrom<String> for Image {
    type Error = String;

    fn try_from(text: String) -> Result<Image, String> {
        let with_software = SOFTWARE
            .iter()
            .find_map(|(name, software)| Some((text.strip_suffix(name)?.strip_suffix('+')?, *software)));
        let (place, software) = with_software.unwrap_or((text.as_str(), Software::Debian));
        let encryption = |name: &str| ENCRYPTIONS.iter().find(|(known, _)| *known == name).map(|(_, e)| *e);
        let with_layout = LAYOUTS.iter().find_map(|(name, layout)| {
            let before = place.strip_suffix(name)?;
            let encryption = match before.strip_suffix('-') {
                Some(before) => encryption(before)?,
                None if before.is_empty() => Encryption::None,
                None => return None,
            };
            Some(Image { encryption, layout: *layout, software })
        });
        let whole = || Some(Image { encryption: encryption(place)?, layout: Layout::Gpt, software });
        with_layout.or_else(whole).ok_or_else(|| format!("image `{text}` is not known"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_an_encryption_and_a_layout() {
        use {Encryption::*, Layout::*, Software::*};
        let cases = [
            ("luks", Luks2, Gpt),
            ("plain", None, Gpt),
            ("lvm", None, Lvm),
            ("plain-lvm", None, Lvm),
            ("luks-lvm", Luks2, Lvm),
            ("luks1", Luks1, Gpt),
            ("luks1-mbr", Luks1, Mbr),
            ("luks-bare", Luks2, Bare),
            ("luks-unclean", Luks2, Unclean),
            ("many", None, Many),
            ("argon2-huge", Argon2Huge, Gpt),
        ];
        for (text, encryption, layout) in cases {
            let image = |software| Ok(Image { encryption, layout, software });
            assert_eq!(Image::try_from(text.to_owned()), image(Debian), "{text}");
            assert_eq!(Image::try_from(format!("{text}+cloud-init")), image(CloudInit), "{text}");
            assert_eq!(Image::try_from(format!("{text}+networks")), image(Networks), "{text}");
            assert_eq!(Image::try_from(format!("{text}+neither")), image(Neither), "{text}");
            assert_eq!(Image::try_from(format!("{text}+sshd")), image(Sshd), "{text}");
            assert_eq!(Image::try_from(format!("{text}+selinux")), image(Selinux), "{text}");
            assert_eq!(Image::try_from(format!("{text}+trixie")), image(Trixie), "{text}");
        }
        for text in [
            "",
            "-lvm",
            "lukslvm",
            "lvm-luks",
            "zfs",
            "+cloud-init",
            "luks+snap",
            "lukstrixie",
            "luks+neither+trixie",
        ] {
            assert!(Image::try_from(text.to_owned()).is_err(), "{text}");
        }
    }
}
