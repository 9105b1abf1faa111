//! All that goes into a bundle: one table. `docs/bundle.md` is held to it by a test.

use super::{kernel, own, sysfs};
use crate::engine::host::Host;

/// A source.
#[derive(Debug)]
pub struct Source {
    /// The file in the bundle, or what its files begin with.
    pub name: &'static str,
    /// What it is, and what of it is not there.
    pub what: &'static str,
    /// Of each file so much at most, in bytes.
    pub most: usize,
    /// Reads it; none of what it gives is a secret.
    pub read: fn(&Host) -> Result<Vec<Member>, String>,
}

/// A file of a bundle.
#[derive(Debug)]
pub struct Member {
    /// Its name, below the bundle's folder.
    pub name: String,
    /// Its text.
    pub bytes: Vec<u8>,
}

impl Member {
    /// A file with this text.
    pub fn of(name: impl Into<String>, text: impl Into<Vec<u8>>) -> Member {
        Member { name: name.into(), bytes: text.into() }
    }
}

/// In the order of what is read first.
pub const SOURCES: &[Source] = &[
    Source {
        name: "about.txt",
        what: "the agent's version, the kernel's release, the boot id, the node's clock and how long it has been up",
        most: 4 << 10,
        read: own::about,
    },
    Source {
        name: "state.json",
        what: "the journal of the boot: its steps, what they wait for, warnings and the error",
        most: 256 << 10,
        read: own::state,
    },
    Source {
        name: "logs.txt",
        what: "what `diskless logs` shows: all that agent and keeper told, of all runs",
        most: 1 << 20,
        read: own::logs,
    },
    Source {
        name: "diagnose.json",
        what: "what `diskless diagnose --json` says",
        most: 256 << 10,
        read: own::diagnose,
    },
    Source {
        name: "keeper.json",
        what: "the keeper's journal: the portals, who looks after them, what happened",
        most: 256 << 10,
        read: own::keeper,
    },
    Source {
        name: "timeline.jsonl",
        what: "every event of this boot, as the report server gets it",
        most: 2 << 20,
        read: own::timeline,
    },
    Source {
        name: "spool.json",
        what: "the events that the report server does not have yet",
        most: 1 << 20,
        read: own::spool,
    },
    Source {
        name: "orders.json",
        what: "what operators have asked of this boot; of its text only plain words",
        most: 16 << 10,
        read: own::orders,
    },
    Source {
        name: "report.txt",
        what: "where reports go: the URLs without account and query",
        most: 8 << 10,
        read: own::destination,
    },
    Source {
        name: "cmdline.txt",
        what: "the kernel command line; values of parameters that may be a secret, and of those that nobody knows, are hidden",
        most: 64 << 10,
        read: own::cmdline,
    },
    Source {
        name: "configuration.txt",
        what: "/etc/diskless.conf as kernel parameters, hidden as those are",
        most: 64 << 10,
        read: own::configuration,
    },
    Source {
        name: "plan.json",
        what: "a boot plan that is a file on the node; text of members that may hold a secret is hidden, as is that of members \
               this version does not know",
        most: 512 << 10,
        read: own::plan,
    },
    Source {
        name: "inspect.json",
        what: "what `diskless inspect --json` says, without listening to switches",
        most: 512 << 10,
        read: own::inspect,
    },
    Source {
        name: "network.txt",
        what: "addresses, routes and neighbours",
        most: 512 << 10,
        read: kernel::network,
    },
    Source {
        name: "dm.txt",
        what: "the maps of device-mapper: tables, without a key where one is in them, and states",
        most: 256 << 10,
        read: kernel::maps,
    },
    Source {
        name: "sys/iscsi.txt",
        what: "iSCSI sessions, connections and hosts in sysfs; no passwords",
        most: 512 << 10,
        read: sysfs::iscsi,
    },
    Source {
        name: "sys/block.txt",
        what: "block devices in sysfs: size, state, queue, statistics, what is on top and below; zram's memory",
        most: 1 << 20,
        read: sysfs::block,
    },
    Source {
        name: "sys/net.txt",
        what: "network interfaces in sysfs: link, speed, MTU, address, driver, counters",
        most: 512 << 10,
        read: sysfs::net,
    },
    Source {
        name: "proc/",
        what: "mounts, mountinfo, meminfo, partitions, modules, filesystems, swaps, loadavg, uptime, pressure, and network \
               counters of /proc; mount options that may be a secret are hidden",
        most: 512 << 10,
        read: kernel::proc,
    },
    Source {
        name: "dmesg.txt",
        what: "the kernel's log; command lines in it as in `cmdline.txt`, URLs without account and query, what is called a \
               password or the like hidden",
        most: 1 << 20,
        read: kernel::dmesg,
    },
    Source {
        name: "journal.txt",
        what: "the journal of this boot, where there is journalctl, its end; hidden as in `dmesg.txt`",
        most: 3 << 20,
        read: kernel::journal,
    },
];
