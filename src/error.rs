//! The one error type: a stable code, the object it happened to, and the cause.
//!
//! Every code is one line of the table below: what it means, what the engine does with it, and what the
//! person who reads it should do. `docs/errors.md` is held to this table by a test.

use std::fmt;
use std::sync::Arc;

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What the engine does with an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// May go away by itself: tried again until the step's deadline.
    Retry,
    /// The plan, a key or the server's configuration is wrong: fails at once, a person must change something.
    Config,
    /// This node or this kernel cannot do it: fails at once.
    Fatal,
    /// Only ever warned of: the boot goes on.
    Warning,
}

macro_rules! codes {
    ($($variant:ident $code:literal $class:ident, $meaning:literal, $advice:literal;)*) => {
        /// What went wrong, with a code that scripts may rely on: it is never renamed or given another meaning.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Code {
            $(#[doc = $meaning] $variant,)*
        }

        impl Code {
            /// Every code there is, in the order of the table.
            pub const ALL: &[Code] = &[$(Code::$variant,)*];

            /// The stable code, as scripts and the console show it.
            pub fn as_str(self) -> &'static str {
                match self { $(Code::$variant => $code,)* }
            }

            /// What the engine does with it.
            pub fn class(self) -> Class {
                match self { $(Code::$variant => Class::$class,)* }
            }

            /// What it means, as part of a sentence.
            pub fn meaning(self) -> &'static str {
                match self { $(Code::$variant => $meaning,)* }
            }

            /// What to do about it.
            pub fn advice(self) -> &'static str {
                match self { $(Code::$variant => $advice,)* }
            }
        }
    };
}

codes! {
    // Of every step
    Timeout "timeout" Fatal, "the wait went on for too long",
        "see what it waited for; `diskless retry` tries again from there";
    NotConverging "not-converging" Fatal, "the step acts again and again without getting done",
        "this is a defect of diskless: report it with /run/diskless/state.json";
    Kernel "kernel" Fatal, "the kernel refused",
        "see the cause and `dmesg`; a kernel module may be missing from the initramfs";
    Io "io" Fatal, "a file or device could not be read or written",
        "see the cause and `dmesg`";
    NoRandom "no-random" Retry, "the kernel has no random numbers yet",
        "give the machine a source of them: virtio-rng for a virtual one, random.trust_cpu=on for the kernel";
    Locked "locked" Config, "another diskless is at work",
        "wait until it is done, or end it by its pid";

    InUse "in-use" Config, "something is in use, and cannot be taken apart",
        "unmount or remove what the message names, end who uses it, and try again";

    Keeper "keeper" Fatal, "the keeper cannot be reached, or cannot work",
        "see the cause and `systemctl status diskless-keeper`; without it nobody reconnects a lost session until iscsid runs";
    NotRun "not-run" Config, "the agent has not run in this boot",
        "start it: `diskless boot`";

    Booted "booted" Config, "this is no initramfs, so the boot is over",
        "`diskless status` shows how it went";
    NoStep "no-step" Config, "the boot of this node has no such step",
        "`diskless status` lists those that it has";

    // input, and the plan
    Facts "facts" Config, "the facts of the node cannot be used",
        "correct the file; docs/diskless.8.md shows one";
    NoPlan "no-plan" Config, "no boot plan is configured",
        "give the kernel rd.diskless.plan=URL, rd.diskless.plan=/path/in/the/initramfs or netroot=iscsi:...";
    Parameter "parameter" Config, "a kernel parameter has a value that cannot be used",
        "correct the kernel command line";
    Access "access" Config, "operators cannot be let in by it",
        "correct it; docs/access.md says what sshd of the initramfs takes";
    Configuration "configuration" Config, "the configuration file cannot be used",
        "correct that line of /etc/diskless.conf in the initramfs; `diskless config` shows what holds";
    NotSkipped "not-skipped" Config, "the boot cannot do without it",
        "repair what is wrong with it and `diskless retry`, or hold the boot there and do it by hand";
    PlanMissing "plan-missing" Config, "the boot plan could not be read",
        "put the file into the initramfs, or correct rd.diskless.plan=";
    PlanInvalid "plan-invalid" Config, "the boot plan cannot be used",
        "correct the plan where the message points";
    PlanHostname "plan-hostname" Config, "the boot plan has a host name that is none",
        "correct hostname in the plan";
    PlanMachineId "plan-machine-id" Config, "the boot plan has a machine-id that is none",
        "correct machine_id in the plan, or leave it out: it is derived then";
    PlanIscsiName "plan-iscsi-name" Config, "the boot plan has an iSCSI name that is none",
        "correct the name in the plan";
    PlanPortals "plan-portals" Config, "the boot plan has portals that cannot be used",
        "correct iscsi.portals in the plan";
    PlanPaths "plan-paths" Config, "the boot plan waits for paths that it cannot have",
        "correct iscsi.min_paths or iscsi.grace in the plan";
    PlanInterface "plan-interface" Config, "the boot plan has a portal behind an interface that cannot be",
        "correct the portal's interface in the plan";
    PlanSource "plan-source" Config, "the boot plan has a portal that cannot be reached from the address it names",
        "correct the portal's source in the plan";
    PlanIdentify "plan-identify" Config, "the boot plan tells paths by what is not on the disk",
        "correct multipath.identify in the plan, or have the LUKS header on the disk";
    PlanChap "plan-chap" Config, "the boot plan has a CHAP account that cannot be used",
        "correct the account in the plan";
    PlanMapName "plan-map-name" Config, "the boot plan has a name that no map can have",
        "correct luks.name in the plan";
    PlanMounts "plan-mounts" Config, "the boot plan has mounts that make no root",
        "correct overlay.mounts in the plan";
    PlanLowers "plan-lowers" Config, "the boot plan has volumes that cannot be laid over each other",
        "correct `lower` of the mount point in overlay.mounts in the plan";
    PlanKey "plan-key" Config, "the boot plan has a place of a key or LUKS header that cannot be used",
        "correct luks.key, luks.key_size or luks.header in the plan";
    PlanKeyslot "plan-keyslot" Config, "the boot plan has a keyslot that LUKS cannot have",
        "correct luks.keyslot in the plan: 0 to 31";
    PlanUuid "plan-uuid" Config, "the boot plan has a UUID that is none",
        "correct luks.uuid in the plan; `cryptsetup luksUUID` shows that of the image";
    PlanOverlay "plan-overlay" Config, "the boot plan has a writable layer that cannot be made",
        "correct the overlay's member in the plan";
    PlanWatermarks "plan-watermarks" Config, "the boot plan has watermarks that cannot be passed one after the other",
        "correct overlay.watermarks in the plan";
    PlanServices "plan-services" Config, "the boot plan has units that cannot be enabled",
        "correct handover.services in the plan";
    PlanFiles "plan-files" Config, "the boot plan has files that cannot be written",
        "correct handover.files in the plan";
    PlanHostKeys "plan-host-keys" Config, "the boot plan has an SSH host key that cannot be used",
        "correct handover.ssh_host_keys in the plan; `ssh-keygen -p -N '' -f FILE` takes the passphrase off a key, and brings it \
         into OpenSSH's own format";
    PlanAccess "plan-access" Config, "the boot plan has an operator's key that cannot be used",
        "correct access.authorized_keys in the plan: each is the line of a file .pub of ssh-keygen";
    PlanCloudInit "plan-cloud-init" Config, "the boot plan has data for cloud-init that cannot be written",
        "correct cloud_init in the plan";
    PlanMultipath "plan-multipath" Config, "the boot plan has multipath settings that cannot be written",
        "correct multipath in the plan";
    PlanReport "plan-report" Config, "the boot plan has a place for reports that is none",
        "correct that URL in the plan";
    PlanVersion "plan-version" Config, "the boot plan has a version that this agent does not know",
        "serve a plan of version 1, or put a newer diskless into the initramfs";
    PlanValidity "plan-validity" Config, "the boot plan has a validity that no node can meet",
        "correct validity in the plan";
    PlanSignatureMissing "plan-signature-missing" Config, "the boot plan is not signed",
        "sign it: `diskless plan sign --key FILE PLAN`, and put the .minisig beside the plan; this initramfs takes signed plans \
         alone";
    PlanSignatureWrong "plan-signature-wrong" Config, "the boot plan is not what was signed",
        "sign it anew; if nobody changed it, find out who did";
    PlanSignatureKey "plan-signature-key" Config, "the boot plan's signature is by no key that this initramfs trusts",
        "sign it with a trusted key, or put the public key into the initramfs: /etc/diskless/trusted.d/NAME.pub";
    PlanOutdated "plan-outdated" Config, "the boot plan is outdated",
        "issue a new one; or, if the time shown is wrong, set the node's clock";
    PlanNotYet "plan-not-yet" Config, "the boot plan is not valid yet",
        "set the node's clock (the firmware shows it), or correct validity.not_before in the plan";
    PlanOtherNode "plan-other-node" Config, "the boot plan is for another node",
        "serve this node its own plan, or correct validity.node in it: `diskless inspect` shows the node's UUID and addresses";
    PlanSerial "plan-serial" Config, "the boot plan's serial number is not one that is accepted",
        "issue the plan with a higher validity.serial; rd.diskless.least_serial= says what is accepted";
    ClockWrong "clock-wrong" Warning, "the node's clock is wrong: it stands before the initramfs was made",
        "set the clock (the firmware shows it); an empty battery on the board is the usual cause";
    SigningKey "signing-key" Config, "the key cannot sign or verify plans",
        "see the cause; `diskless plan keygen NAME` makes a pair";
    PlanFetch "plan-fetch" Retry, "the boot plan could not be fetched",
        "look at the server and at the network on the way to it";
    PlanRefused "plan-refused" Config, "the server has no boot plan for this node",
        "look at the server's log for the request and its status";
    SecretFetch "secret-fetch" Retry, "a key could not be fetched",
        "look at the server and at the network on the way to it";

    Initiator "initiator" Config, "the node has no initiator name",
        "give it one: iscsi.initiator in the plan, or rd.iscsi.initiator= for the kernel";
    InitiatorShared "initiator-shared" Config, "an initiator name in the initramfs is that of every node that boots it, \
         and nodes of one name take each other's session away",
        "remove the file from the initramfs (each node then has a name of its own), or give the kernel \
         rd.diskless.shared_initiator=1 if only one node runs at a time";

    // network
    Network "network" Retry, "the network does not reach the server",
        "check cable, VLAN, DHCP and ip= for the interface; `ip addr` and `ip route` show what there is";
    LinkMissing "link-missing" Retry, "the node has no network interface",
        "add the driver of its card to the initramfs: `dracut --add-drivers NAME`; `lspci -nn` on a booted node names it";
    LinkDown "link-down" Retry, "a network interface has no carrier",
        "check the cable, the switch's port, and whether the port is shut down";
    NoAddress "no-address" Retry, "a network interface with a carrier has no address",
        "check the DHCP server and the VLAN of the switch's port, or ip= on the kernel command line";
    NoRoute "no-route" Retry, "no route leads to the server",
        "check the address and netmask of the interface, and the gateway that DHCP or ip= gives";
    NoNeighbour "no-neighbour" Retry, "the next hop on the way to the server does not answer",
        "check that the server or the router is up, the VLAN of the switch's ports, and that no other host has its address";
    Resolve "resolve" Retry, "the name could not be resolved",
        "check /etc/resolv.conf and the name server, or give an address";

    TlsCa "tls-ca" Config, "there is no CA to check the server by",
        "put the CA's certificate (PEM) into the initramfs as /etc/diskless/ca.pem, or give an http:// URL";
    TlsUntrusted "tls-untrusted" Config, "the server's certificate is not one that the CA in the initramfs vouches for",
        "compare /etc/diskless/ca.pem of the initramfs with the CA that signed the server's certificate";
    TlsName "tls-name" Config, "the server's certificate is for another name",
        "give the URL with a name that the certificate has, or the server a certificate with the URL's name";
    TlsExpired "tls-expired" Config, "the server's certificate has expired",
        "renew it; or, if the time shown is wrong, set the node's clock";
    TlsClock "tls-clock" Retry, "by this node's clock the server's certificate is not valid yet",
        "set the node's clock (the firmware shows it); an initramfs built after the certificate was issued helps too";

    // iscsi
    IscsiConnect "iscsi-connect" Retry, "the portal does not answer",
        "check that the target service runs, that no firewall is in the way, and the network on the way to it";
    IscsiProtocol "iscsi-protocol" Fatal, "the target broke the iSCSI protocol",
        "report it with the target's product and version";
    IscsiAuth "iscsi-auth" Config, "the target refused the login: authentication failed",
        "compare iscsi.auth in the plan with the account at the target";
    IscsiDiscoveryAuth "iscsi-discovery-auth" Config, "the portal refused the discovery: authentication failed",
        "compare iscsi.discovery.auth in the plan with the account for discovery at the target";
    IscsiTargetAuth "iscsi-target-auth" Config, "the target could not prove who it is (mutual CHAP)",
        "compare the mutual secret in the plan with the one at the target";
    IscsiForbidden "iscsi-forbidden" Config, "the target does not allow this initiator",
        "add the node's initiator name to the target's access list";
    IscsiNoTarget "iscsi-no-target" Retry, "the portal does not know the target",
        "check the target name in the plan, and that the server exports it to this initiator (some hide it from others)";
    IscsiMoved "iscsi-moved" Fatal, "the target was moved in a way that cannot be followed",
        "put the new portal into the plan";
    IscsiRefused "iscsi-refused" Config, "the target refused the login",
        "see the status and the target's log";
    IscsiBusy "iscsi-busy" Retry, "the target is out of service or out of resources",
        "look at the target's load and session limit";
    Mtu "mtu" Config, "small messages get through, large frames do not",
        "give the interface the MTU that every switch and link on the way has, or repair the way";
    IscsiNoDisk "iscsi-no-disk" Retry, "the target shows no such LUN",
        "check the LUN in the plan, and that the target maps it for this initiator";
    SessionLost "session-lost" Retry, "the session has lost its connection",
        "look at the target and at the network on the way to it; the keeper or iscsid logs in again by itself";
    LunWritable "lun-writable" Config, "the target lets nodes write to the image",
        "export the LUN read-only: readonly=1 for tgt, write_protect=1 for LIO";

    // multipath
    PathMismatch "path-mismatch" Config, "two paths do not lead to the same disk",
        "let all servers show the same image; if it is the same under different WWIDs: multipath.identify luks-uuid in the \
         plan";
    PathSilent "path-silent" Retry, "a path does not tell which disk it leads to",
        "look at the target behind the portal, and at the network on the way to it; see `dmesg`";
    PathMap "path-map" Retry, "the map of the paths could not be made",
        "see the cause and `dmesg`; the kernel modules dm_multipath and its path selectors must be in the initramfs";

    // luks
    LuksHeader "luks-header" Config, "there is no LUKS header that can be used",
        "check that the LUN is the encrypted image: `cryptsetup luksDump`";
    LuksUnsupported "luks-unsupported" Config, "the LUKS header asks for something that diskless does not do",
        "see the message; re-create the header without it";
    LuksSize "luks-size" Config, "the disk does not fit its LUKS header",
        "check that the LUN is the whole image: compare its size with that of the image file";
    LuksNoKey "luks-no-key" Config, "no keyslot opens with this key",
        "check that luks.key in the plan is the key of this image";
    LuksKeyslot "luks-keyslot" Config, "the LUKS header has no such keyslot in use",
        "correct luks.keyslot in the plan; `diskless luks dump` lists the keyslots";
    LuksKeyMissing "luks-key-missing" Config, "the key of the image is not to be had",
        "put the file into the initramfs, or correct luks.key in the plan";
    LuksHeaderMissing "luks-header-missing" Config, "the detached LUKS header is not to be had",
        "put the file into the initramfs, or correct luks.header in the plan";
    LuksHeaderFetch "luks-header-fetch" Retry, "the detached LUKS header could not be fetched",
        "look at the server and at the network on the way to it";
    LuksUuid "luks-uuid" Config, "the LUKS header has another UUID than the plan says",
        "check that the LUN is the image that the plan is for, or correct luks.uuid in the plan";
    LuksMemory "luks-memory" Fatal, "the keyslot needs more memory than the node has free",
        "use a keyslot with less memory (luksAddKey --pbkdf-memory, or --pbkdf pbkdf2)";
    LuksMap "luks-map" Config, "a map of this name is there already, and it is not that of this disk",
        "see `dmsetup info`; remove that map, or give luks.name in the plan another value";

    // volumes, zram, overlay, handover
    PartitionTable "partition-table" Config, "the partition table cannot be used",
        "check the image with `sgdisk --verify` or `sfdisk --verify`";
    PartitionTableBackup "partition-table-backup" Warning, "the first partition table is damaged, and its backup at the \
         end of the disk is used",
        "repair the image: `sgdisk --verify` says what is wrong, and writing the table makes the first one anew";
    NoVolume "no-volume" Config, "the image has no such volume",
        "compare overlay.mounts in the plan with the volumes listed";
    VolumeMap "volume-map" Config, "a map of a volume's name is there already, and it is not that volume",
        "see `dmsetup info`; remove that map, or rename the volume";
    VolumeType "volume-type" Config, "the logical volume is of a type that diskless does not do",
        "make it a linear or striped volume in the image";
    PhysicalVolume "physical-volume" Config, "the image lacks a part of the logical volume",
        "put the physical volume into the image, or take it out of the group: `vgreduce --removemissing`";
    PhysicalVolumeDuplicate "physical-volume-duplicate" Config, "two devices of the image are the same physical volume",
        "take the one that is not meant out of the image; `vgimportclone` gives a copy UUIDs of its own";
    LvmMetadata "lvm-metadata" Config, "the LVM metadata cannot be used",
        "check the image with `pvck` and `vgck`";
    InitramfsModule "initramfs-module" Fatal, "a kernel module that the boot needs is missing from the initramfs",
        "build the initramfs for the kernel that the node boots, with `dracut --add-drivers NAME` for what it still lacks";
    LayerFull "layer-full" Fatal, "the writable layer is full",
        "delete what is not needed (`du -x /`), or give overlay.size in the plan a larger value and boot again";
    ZramAlgorithm "zram-algorithm" Config, "the kernel does not have this compression",
        "correct overlay.algorithm in the plan, or add the kernel module to the initramfs";
    ZramSize "zram-size" Config, "the writable layer is too small for its file system",
        "give overlay.size in the plan a larger value, or take ext4 for overlay.fs";
    LayerMemory "layer-memory" Fatal, "the node has too little memory for the writable layer",
        "give overlay.size in the plan a smaller value, or a share of the memory like 50%; overlay.overcommit is for data that \
         compress for sure";
    LayerLimited "layer-limited" Config, "the writable layer is no larger than the memory that it may take",
        "make overlay.size and overlay.mem_limit in the plan agree; overlay.overcommit is for a layer that may be larger, and \
         whose writes may fail before it is full";
    MakeFileSystem "make-file-system" Fatal, "the file system of the writable layer could not be made",
        "see the cause; mkfs.xfs must be in the initramfs for overlay.fs xfs";
    FileSystem "file-system" Config, "the file system could not be mounted",
        "check overlay.mounts in the plan, and the image; see `dmesg`";
    FileSystemMissing "file-system-missing" Config, "the kernel does not have this file system",
        "add its kernel module to the initramfs: `dracut --add-drivers NAME`";
    FileSystemUnclean "file-system-unclean" Config, "the file system was not cleanly unmounted",
        "mount and unmount it once with write access where the image is made; or have it mounted as it is: `unclean` in \
         overlay.mounts of the plan";
    NotARoot "not-a-root" Config, "the mounted image is not a root file system",
        "check overlay.mounts in the plan: / must hold an init";
    KernelModules "kernel-modules" Config, "the new root has no modules of the running kernel",
        "install the kernel that the node boots in the image, or boot the node with the image's kernel";
    Report "report" Retry, "the report could not be delivered",
        "look at the report server and at the network on the way to it; `diskless report up` tries again";
    NoReport "no-report" Config, "this boot reports to nobody",
        "name a server in report.url of the plan";
    Handover "handover" Fatal, "a file of the new root could not be written",
        "see the cause; the overlay may be full";
    HandoverPath "handover-path" Config, "the path is not inside of the new root",
        "correct handover.files in the plan, or the links on the way to it in the image";
    HostKey "host-key" Config, "the SSH host key cannot be used",
        "correct what handover.ssh_host_keys in the plan leads to; `ssh-keygen -p -N '' -f FILE` takes the passphrase off a \
         key, and brings it into OpenSSH's own format";
    HandoverUnit "handover-unit" Config, "the unit cannot be enabled in the image",
        "correct handover.services in the plan, or install the unit in the image";
}

/// What went wrong: a [`Code`], the object, and the cause with all of its own causes.
///
/// Its text is one line: `object: meaning: cause: cause of the cause`.
#[derive(Debug, Clone)]
pub struct Error {
    code: Code,
    object: String,
    cause: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error of `code` that happened to `object` (`"portal 10.0.0.1:3260"`, `"/etc/hostname"`).
    pub fn new(code: Code, object: impl Into<String>) -> Error {
        Error { code, object: object.into(), cause: None }
    }

    /// Adds the cause: another error, or a sentence.
    #[must_use]
    pub fn because(mut self, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
        self.cause = Some(Arc::from(cause.into()));
        self
    }

    /// The stable code.
    pub fn code(&self) -> Code {
        self.code
    }

    /// What the engine does with it.
    pub fn class(&self) -> Class {
        self.code.class()
    }

    /// What to do about it.
    pub fn advice(&self) -> &'static str {
        self.code.advice()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.object, self.code.meaning())?;
        let mut cause = self.cause.as_deref().map(|cause| cause as &dyn std::error::Error);
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

/// `Err(io error)` to [`Error`], with the object named.
pub trait Context<T> {
    /// Names the object (`"/run/diskless/state.json"`) and the code of a failure.
    ///
    /// # Errors
    /// The failure that was there, as an [`Error`] with it as the cause.
    fn context(self, code: Code, object: impl Into<String>) -> Result<T>;
}

impl<T, E: Into<Box<dyn std::error::Error + Send + Sync>>> Context<T> for std::result::Result<T, E> {
    fn context(self, code: Code, object: impl Into<String>) -> Result<T> {
        self.map_err(|cause| Error::new(code, object).because(cause))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_names_object_meaning_and_every_cause() {
        let inner = Error::new(Code::Io, "/dev/sda").because("end of file");
        let error = Error::new(Code::LuksHeader, "disk sda").because(inner);
        assert_eq!(
            error.to_string(),
            "disk sda: there is no LUKS header that can be used: \
             /dev/sda: a file or device could not be read or written: end of file"
        );
    }

    #[test]
    fn codes_are_unique_and_plain() {
        let mut seen = std::collections::BTreeSet::new();
        for code in Code::ALL {
            assert!(seen.insert(code.as_str()), "{} stands twice", code.as_str());
            assert!(code.as_str().bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{}", code.as_str());
        }
    }
}
