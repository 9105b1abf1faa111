//! `netroot=iscsi:...`, as dracut.cmdline(7) spells it:
//! `iscsi:[USER:SECRET[:USER_IN:SECRET_IN]@]SERVER:[PROTOCOL]:[PORT]:[IFACE:NETDEV:][LUN]:TARGET`, which extends the DHCP
//! root path of RFC 4173, section 5.

use super::document::{Algorithm, Chap, Mutual};
use super::portal::{DEFAULT_PORT, Portal};
use super::secret::Secret;

/// A disk that `netroot=` names.
#[derive(Clone)]
pub struct Netroot {
    /// Where the target is.
    pub portal: Portal,
    /// The network interface that the connection goes out of; none: by the routes.
    pub interface: Option<String>,
    /// The LUN.
    pub lun: u64,
    /// The target.
    pub target: String,
    /// The account at the target.
    pub auth: Option<Chap>,
}

impl Netroot {
    /// Parses what stands behind `netroot=iscsi:`.
    ///
    /// # Errors
    /// What is wrong with it, without a word of it: secrets may stand anywhere in a line with a typing error.
    pub fn parse(text: &str) -> Result<Netroot, &'static str> {
        let (account, rest) = match text.split_once('@') {
            // Dracut's rule: behind an account there are still all fields. Else the @ is in the target's name.
            Some((account, rest)) if rest.matches(':').count() >= 4 => (account, rest),
            _ => ("", text),
        };
        let (host, rest) = match rest.strip_prefix('[') {
            Some(rest) => rest.split_once("]:").map(|(host, rest)| (format!("[{host}]"), rest)),
            None => rest.split_once(':').map(|(host, rest)| (host.to_owned(), rest)),
        }
        .ok_or("there is no field behind the server")?;
        if host.is_empty() {
            return Err("names no server");
        }
        // The first one: a target's name may itself have `:iqn.` in it, the fields before it cannot.
        let at = [":iqn.", ":eui.", ":naa."].iter().filter_map(|kind| rest.find(kind)).min();
        let (fields, target) = at
            .and_then(|at| rest.split_at_checked(at))
            .ok_or("ends in no target's name: iqn.…, eui.… or naa.…")?;
        let (protocol, port, interface, lun) = match fields.split(':').collect::<Vec<_>>().as_slice() {
            [protocol, port, lun] => (*protocol, *port, "", *lun),
            [protocol, port, _, interface, lun] => (*protocol, *port, *interface, *lun),
            _ => return Err("has not the fields SERVER:[PROTOCOL]:[PORT]:[IFACE:NETDEV:][LUN]:TARGET"),
        };
        if !matches!(protocol, "" | "6") {
            return Err("has a protocol other than 6 (TCP)");
        }
        Ok(Netroot {
            portal: portal(&host, port)?,
            interface: Some(interface.to_owned()).filter(|interface| !interface.is_empty()),
            lun: lun_number(lun)?,
            target: target.trim_start_matches(':').to_owned(),
            auth: accounts(account)?,
        })
    }
}

/// The portal of a server, whose IPv6 address may stand in brackets, and a port; none is the default.
pub fn portal(host: &str, port: &str) -> Result<Portal, &'static str> {
    let port = if port.is_empty() { DEFAULT_PORT.to_string() } else { port.to_owned() };
    let host =
        if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host.to_owned() };
    Portal::parse(&format!("{host}:{port}")).ok_or("has a server or port that is none")
}

/// A LUN in decimal digits; none is 0.
pub fn lun_number(text: &str) -> Result<u64, &'static str> {
    if text.is_empty() {
        return Ok(0);
    }
    text.parse()
        .ok()
        .filter(|_| text.bytes().all(|b| b.is_ascii_digit()))
        .ok_or("has a LUN that is no number")
}

fn accounts(text: &str) -> Result<Option<Chap>, &'static str> {
    let secret = |text: &str| Secret::new(text.as_bytes().to_vec());
    let chap = |username: &str, password: &str, mutual| Chap {
        username: username.to_owned(),
        secret: secret(password),
        mutual,
        algorithms: vec![Algorithm::Md5],
    };
    if text.is_empty() {
        return Ok(None);
    }
    match text.split(':').collect::<Vec<_>>().as_slice() {
        [user, password] => Ok(Some(chap(user, password, None))),
        [user, password, user_in, password_in] => {
            let mutual = Mutual { username: (*user_in).to_owned(), secret: secret(password_in) };
            Ok(Some(chap(user, password, Some(mutual))))
        }
        _ => Err("has an account that is not USER:SECRET or USER:SECRET:USER_IN:SECRET_IN"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `portal lun target interface user secret user_in secret_in`, as far as there are such.
    fn shown(text: &str) -> Result<String, &'static str> {
        let Netroot { portal, interface, lun, target, auth } = Netroot::parse(text)?;
        let mut words = vec![portal.to_string(), lun.to_string(), target];
        words.extend(interface.map(|interface| format!("by {interface}")));
        let text = |secret: &Secret| String::from_utf8_lossy(secret.expose()).into_owned();
        if let Some(auth) = auth {
            words.extend([auth.username, text(&auth.secret)]);
            words.extend(auth.mutual.into_iter().flat_map(|mutual| [mutual.username, text(&mutual.secret)]));
        }
        Ok(words.join(" "))
    }

    #[test]
    fn dracuts_spelling() {
        let cases = [
            ("192.168.50.1::::iqn.2009-06.dracut:target0", "192.168.50.1:3260 0 iqn.2009-06.dracut:target0"),
            ("[2001:DB8::1]::::iqn.2009-06.dracut:t", "[2001:DB8::1]:3260 0 iqn.2009-06.dracut:t"),
            ("u:p@198.18.0.1::3260:1:iqn.a:b", "198.18.0.1:3260 1 iqn.a:b u p"),
            ("u:p:ui:pi@server.example:6:3261:16383:eui.01", "server.example:3261 16383 eui.01 u p ui pi"),
            ("@10.0.0.1::3260::iqn.a:di@sk", "10.0.0.1:3260 0 iqn.a:di@sk"),
            ("10.0.0.1::3260::iqn.a:di@sk", "10.0.0.1:3260 0 iqn.a:di@sk"),
            ("10.0.0.1:::default:eth0:2:naa.5", "10.0.0.1:3260 2 naa.5 by eth0"),
            ("10.0.0.1::::iqn.a:iqn.b", "10.0.0.1:3260 0 iqn.a:iqn.b"),
        ];
        for (text, expected) in cases {
            assert_eq!(shown(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_and_not_quoted() {
        let cases = [
            ("", "no field"),
            ("10.0.0.1", "no field"),
            ("::::iqn.a:b", "no server"),
            ("10.0.0.1::::target", "no target"),
            ("10.0.0.1:iqn.a:b", "no target"),
            ("10.0.0.1::iqn.a:b", "has not the fields"),
            ("10.0.0.1:::::iqn.a:b", "has not the fields"),
            ("10.0.0.1:17:::iqn.a:b", "protocol"),
            ("10.0.0.1::0::iqn.a:b", "port"),
            ("10.0.0.1:::x:iqn.a:b", "LUN"),
            ("10.0.0.1:::+1:iqn.a:b", "LUN"),
            ("hunter2@10.0.0.1::::iqn.a:b", "account"),
            ("u:hunter2:v@10.0.0.1::::iqn.a:b", "account"),
            ("u:hunter2@x@10.0.0.1::::iqn.a:b", "server"),
            ("[::1::::iqn.a:b", "no field"),
        ];
        for (text, says) in cases {
            let error = shown(text).expect_err(text);
            assert!(error.contains(says), "{text}: {error}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_a_disk_or_an_error(text: String) {
            let _ = Netroot::parse(&text);
        }

        #[test]
        fn nearly_right_text_too(text in "[a-z@:.\\[\\]0-9]{0,20}:{0,4}(iqn|eui)\\.[a-z:@]{0,9}") {
            let _ = Netroot::parse(&text);
        }
    }
}
