//! What the kernel is told of a session: who is at its ends, its timers, and what was negotiated.

use std::fs;

use zeroize::Zeroizing;

use super::login::Session;
use super::paths::paths;
use super::route::Place;
use crate::engine::host::Host;
use crate::input::document::Iscsi;
use crate::input::settings::Settings;
use crate::sys::iscsi_netlink::Param;

/// The setting of how many seconds I/O waits for a lost connection before it fails.
const RECOVERY: &str = "node.session.timeo.replacement_timeout";
/// So many at most until the boot is over: a step that hangs in a read of the disk cannot say so. After that it is the
/// plan's own number, which the image's iscsid sets, or else the keeper.
const MOST_RECOVERY_SECONDS: u32 = 120;

/// Lets I/O of the sessions of a booted node wait as long as the plan says; gives what was changed, for the journal. For a
/// disk without a map: where there is one, multipathd or the map decide how long.
pub fn wait_as_planned(host: &Host, iscsi: &Iscsi, initiator: &str) -> Vec<String> {
    let wanted = iscsi.settings.number(RECOVERY).to_string();
    let set = |sid: u32| {
        let file = host.path(format!("/sys/class/iscsi_session/session{sid}/recovery_tmo"));
        let now = fs::read_to_string(&file).ok()?;
        if now.trim() == wanted {
            return None;
        }
        fs::write(&file, &wanted).ok()?;
        Some(format!("reads of session {sid} wait {wanted} s for its connection"))
    };
    let sessions = paths(host, iscsi, initiator).unwrap_or_default();
    sessions.into_iter().filter_map(|path| set(path.session.sid)).collect()
}

/// What the kernel is to know before the login. Of a session that was there before it knows the timers, and multipathd or
/// iscsid may have set them since.
pub fn before_login(
    iscsi: &Iscsi,
    target: &str,
    name: &str,
    place: Place<'_>,
    is_new: bool,
) -> Vec<(Param, Zeroizing<Vec<u8>>)> {
    let mut params = identity(iscsi, target, name, place);
    if is_new {
        params.extend(timers(&iscsi.settings));
    }
    params
}

/// What makes the session known: the image's iscsid takes all of it over from sysfs.
fn identity(iscsi: &Iscsi, target: &str, name: &str, place: Place<'_>) -> Vec<(Param, Zeroizing<Vec<u8>>)> {
    let bytes = |value: &[u8]| Zeroizing::new(value.to_vec());
    let mut params = vec![
        (Param::TargetName, bytes(target.as_bytes())),
        (Param::InitiatorName, bytes(name.as_bytes())),
        // The configured portal, not where it redirects to: that may be another one next time.
        (Param::PersistentAddress, bytes(place.persistent_address().as_bytes())),
        (Param::PersistentPort, bytes(place.own.port().to_string().as_bytes())),
        (Param::IfaceName, bytes(b"default")),
        (Param::DiscoverySess, bytes(b"0")),
    ];
    if let Some(auth) = &iscsi.auth {
        params.push((Param::Username, bytes(auth.username.as_bytes())));
        params.push((Param::Password, bytes(auth.secret.expose())));
        if let Some(mutual) = &auth.mutual {
            params.push((Param::UsernameIn, bytes(mutual.username.as_bytes())));
            params.push((Param::PasswordIn, bytes(mutual.secret.expose())));
        }
    }
    params
}

/// How long the kernel waits for what, by the plan's settings.
fn timers(settings: &Settings) -> Vec<(Param, Zeroizing<Vec<u8>>)> {
    let recovery = settings.number(RECOVERY).min(MOST_RECOVERY_SECONDS);
    [
        (Param::SessRecoveryTmo, recovery),
        (Param::FastAbort, settings.flag("node.session.iscsi.FastAbort").into()),
        (Param::AbortTmo, settings.number("node.session.err_timeo.abort_timeout")),
        (Param::LuResetTmo, settings.number("node.session.err_timeo.lu_reset_timeout")),
        (Param::TgtResetTmo, settings.number("node.session.err_timeo.tgt_reset_timeout")),
        // The kernel's own pings: after so many silent seconds, and how long their answer may take.
        (Param::RecvTmo, settings.number("node.conn[0].timeo.noop_out_interval")),
        (Param::PingTmo, settings.number("node.conn[0].timeo.noop_out_timeout")),
    ]
    .map(|(param, value)| (param, Zeroizing::new(value.to_string().into_bytes())))
    .into()
}

/// What the login came to.
pub fn negotiated(session: &Session) -> Vec<(Param, String)> {
    let values = &session.values;
    let flag = u32::from;
    let mut params = vec![
        (Param::MaxRecvDlength, values.max_recv),
        (Param::MaxXmitDlength, values.max_xmit),
        (Param::HdrDgstEn, flag(values.header_digest)),
        (Param::DataDgstEn, flag(values.data_digest)),
        (Param::InitialR2tEn, flag(values.initial_r2t)),
        (Param::MaxR2t, values.max_r2t),
        (Param::ImmDataEn, flag(values.immediate_data)),
        (Param::FirstBurst, values.first_burst),
        (Param::MaxBurst, values.max_burst),
        (Param::PduInorderEn, flag(values.pdu_in_order)),
        (Param::DataSeqInorderEn, flag(values.sequence_in_order)),
        (Param::Erl, 0),
        (Param::ExpStatSn, session.expected_stat_sn),
    ];
    params.extend(values.portal_group.map(|group| (Param::Tpgt, group.into())));
    params.into_iter().map(|(param, value)| (param, value.to_string())).collect()
}

#[cfg(test)]
#[path = "params_tests.rs"]
mod tests;
