//! The chain for people: what is looked at, and what may be wrong there. `docs/diagnose.md` is held to it by a test.

use super::evidence::Stage;
use crate::error::Code;

/// A link of the chain.
pub struct Link {
    /// Which.
    pub stage: Stage,
    /// What is looked at.
    pub looked_at: &'static str,
    /// The codes that it is told with. The journal has any.
    pub codes: &'static [Code],
}

const fn link(stage: Stage, looked_at: &'static str, codes: &'static [Code]) -> Link {
    Link { stage, looked_at, codes }
}

/// The codes of TLS.
const TLS: [Code; 5] = [Code::TlsCa, Code::TlsUntrusted, Code::TlsName, Code::TlsExpired, Code::TlsClock];
const HTTP: &[Code] = &{
    let [a, b, c, d, e] = TLS;
    [Code::PlanFetch, Code::PlanRefused, a, b, c, d, e]
};

/// All of it, in its order.
pub const CHAIN: &[Link] = &[
    link(Stage::Config, "the kernel command line", &[Code::NoPlan, Code::Parameter, Code::Io]),
    link(
        Stage::Carrier,
        "carrier, speed and MTU of each interface, in sysfs; one without a carrier is a cause only where a server cannot be \
         reached without it",
        &[Code::LinkMissing, Code::LinkDown],
    ),
    link(Stage::Address, "the addresses of each interface, leased or static; likewise", &[Code::NoAddress]),
    link(
        Stage::Route,
        "the interface that packets to the server leave by, and the gateway",
        &[Code::NoRoute],
    ),
    link(
        Stage::Neighbour,
        "what ARP or ND knows of the next hop once it was asked for",
        &[Code::NoNeighbour],
    ),
    link(Stage::Name, "/etc/hosts and the name servers", &[Code::Resolve]),
    link(
        Stage::Tcp,
        "a connection to each plan server, portal and server of a key: refused, or no answer in three seconds",
        &[Code::PlanFetch, Code::IscsiConnect, Code::SecretFetch],
    ),
    link(Stage::Clock, "the clock beside the age of the initramfs; evidence alone", &[]),
    link(Stage::Http, "a request for the plan to each of its URLs, over TLS where it is https", HTTP),
    link(
        Stage::Plan,
        "the plan itself: the one that is tried, that of the file or of the command line, or the first that a server gave",
        &[Code::PlanMissing, Code::PlanInvalid, Code::PlanVersion],
    ),
    link(Stage::Initiator, "the node's name to its targets", &[Code::Initiator, Code::InitiatorShared]),
    link(
        Stage::Mtu,
        "where both ends take frames larger than usual: a small and a large message to the portal, over connections of \
         their own",
        &[Code::Mtu],
    ),
    link(
        Stage::Discovery,
        "where the plan has a discovery: a discovery",
        &[Code::IscsiDiscoveryAuth, Code::IscsiNoTarget, Code::IscsiConnect],
    ),
    link(
        Stage::Login,
        "where the kernel has no session and no boot is at work: a login of a session of its own, and a logout",
        &[
            Code::IscsiAuth,
            Code::IscsiTargetAuth,
            Code::IscsiForbidden,
            Code::IscsiNoTarget,
            Code::IscsiRefused,
            Code::IscsiBusy,
            Code::IscsiConnect,
            Code::IscsiProtocol,
        ],
    ),
    link(Stage::Session, "the state of the kernel's sessions", &[Code::SessionLost]),
    link(
        Stage::Lun,
        "the SCSI device in the session; without one, an INQUIRY in the login above",
        &[Code::IscsiNoDisk, Code::PathSilent, Code::LunWritable],
    ),
    link(
        Stage::Map,
        "WWIDs or LUKS headers of the paths, and the map over them, as the step `multipath` sees them",
        &[Code::PathMismatch, Code::PathSilent, Code::PathMap, Code::LunWritable],
    ),
    link(Stage::Keeper, "the keeper's journal and process", &[Code::Keeper]),
    link(
        Stage::Header,
        "the LUKS header on the disk, as the step `luks` sees it; a detached one on a server is only asked for by HEAD",
        &[
            Code::LuksHeader,
            Code::LuksUnsupported,
            Code::LuksUuid,
            Code::LuksMap,
            Code::LuksKeyslot,
            Code::LuksHeaderMissing,
            Code::LuksHeaderFetch,
        ],
    ),
    link(
        Stage::Key,
        "the key's file, and whether it opens a keyslot; a key on a server is only asked for by HEAD, for it may be given \
         once",
        &[Code::LuksKeyMissing, Code::SecretFetch, Code::LuksNoKey, Code::LuksMemory],
    ),
    link(Stage::Open, "the map of the opened disk", &[]),
    link(
        Stage::Volumes,
        "partition table and LVM metadata, as the step `volumes` sees them",
        &[
            Code::PartitionTable,
            Code::NoVolume,
            Code::VolumeMap,
            Code::VolumeType,
            Code::PhysicalVolume,
            Code::PhysicalVolumeDuplicate,
            Code::LvmMetadata,
        ],
    ),
    link(
        Stage::Zram,
        "memory for the writable layer, and its disk, as the step `zram` sees them",
        &[Code::LayerMemory, Code::ZramSize, Code::ZramAlgorithm],
    ),
    link(
        Stage::Modules,
        "the kernel modules that this plan needs: loaded, or in the initramfs",
        &[Code::InitramfsModule],
    ),
    link(
        Stage::Root,
        "the file systems, as the step `overlay` sees them",
        &[Code::FileSystem, Code::FileSystemUnclean, Code::NotARoot, Code::LayerMemory],
    ),
    link(Stage::Layer, "what is left of the writable layer: space, inodes, memory", &[Code::LayerFull]),
    link(Stage::NewRootModules, "the kernel's modules in the new root", &[Code::KernelModules]),
    link(
        Stage::Handover,
        "what is to be written into the new root, as the step `handover` sees it",
        &[Code::HandoverPath, Code::HostKey, Code::HandoverUnit, Code::PlanMultipath],
    ),
    link(
        Stage::Journal,
        "/run/diskless/state.json: a cause only where nothing else explains it, and nothing shows that it is cured",
        &[],
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chain_is_in_the_order_of_its_stages() {
        assert!(CHAIN.is_sorted_by(|one, other| one.stage < other.stage));
        let last = CHAIN.last().map(|link| link.stage);
        assert_eq!((CHAIN.len(), last), (Stage::Journal as usize + 1, Some(Stage::Journal)));
    }
}
