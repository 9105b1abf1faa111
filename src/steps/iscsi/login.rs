//! The login as a state machine without input and output: responses in, requests out (RFC 7143, section 6.3).
//!
//! With an account the security stage comes first, with CHAP as the only offer: without it nobody is asked to
//! prove anything, and the offer is `None`. Then the operational stage, then the session is there: one with a disk,
//! or one that can only be asked where targets are.

use zeroize::Zeroizing;

use super::chap::{self, Account, Unproved};
use super::negotiation::{BadValue, Meaning, Offer, Values};
use super::pdu::{Pdu, Request, Response, Stage};
use super::status::Failure;
use super::text::{self, Writer, quote};
use crate::input::document::Algorithm;

/// So many responses, and no session yet: there will be none. A login with CHAP takes four.
const MOST_RESPONSES: u32 = 24;
/// The longest text that comes in parts.
const LONGEST_TEXT: usize = 32 * 1024;

/// What the session is for (RFC 7143, section 13.21).
#[derive(Clone, Copy)]
pub enum SessionType<'a> {
    /// A disk of the target with this name.
    Normal(&'a str),
    /// To ask where targets are.
    Discovery,
}

/// Who logs in where.
#[derive(Clone, Copy)]
pub struct Parameters<'a> {
    /// The initiator's name.
    pub initiator: &'a str,
    /// What for.
    pub session: SessionType<'a>,
    /// The initiator's part of the session identifier.
    pub isid: [u8; 6],
    /// The account at the target; none: no authentication.
    pub account: Option<Account<'a>>,
    /// The operational offer.
    pub offer: &'a Offer,
}

/// What comes after a response.
pub enum Next {
    /// Send this, and pass the response in.
    Send(Pdu),
    /// The session is there.
    Done(Session),
    /// The target is at another address: `address:port,group`, the port and the group may be missing.
    Moved(String),
}

/// What was negotiated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Session {
    /// The operational values.
    pub values: Values,
    /// The StatSN expected next.
    pub expected_stat_sn: u32,
    /// The session's handle at the target.
    pub tsih: u16,
}

/// What the response is to bring.
enum Expects {
    AuthMethod,
    Challenge,
    /// The target's answer to this side's challenge. What the initiator answered itself must not come back.
    Proof(Algorithm, Zeroizing<Vec<u8>>),
    /// The step to the operational stage, with nothing left to say.
    Transition,
}

/// One login of one connection.
pub struct Login<'a> {
    parameters: Parameters<'a>,
    expects: Expects,
    values: Values,
    expected_stat_sn: u32,
    responses: u32,
    /// The parts of a text so far.
    text: Vec<u8>,
    /// The step that the last request asked for.
    asked: (Stage, Option<Stage>),
}

impl<'a> Login<'a> {
    /// A login, and its first request.
    pub fn start(parameters: Parameters<'a>) -> (Login<'a>, Pdu) {
        let mut login = Login {
            parameters,
            expects: Expects::AuthMethod,
            values: Values::default(),
            expected_stat_sn: 0,
            responses: 0,
            text: Vec::new(),
            asked: (Stage::Security, None),
        };
        let mut keys = Writer::new();
        keys.put("InitiatorName", parameters.initiator);
        match parameters.session {
            SessionType::Normal(target) => {
                keys.put("TargetName", target);
                keys.put("SessionType", "Normal");
            }
            SessionType::Discovery => keys.put("SessionType", "Discovery"),
        }
        let next = if parameters.account.is_some() {
            keys.put("AuthMethod", "CHAP");
            None
        } else {
            keys.put("AuthMethod", "None");
            Some(Stage::Operational)
        };
        let first = login.request(Stage::Security, next, keys.finish());
        (login, first)
    }

    /// Takes a response and says what comes then.
    ///
    /// # Errors
    /// The target refuses, or breaks the protocol. The login is over then.
    pub fn next(&mut self, pdu: &Pdu) -> Result<Next, Failure> {
        let response = Response::decode(pdu).map_err(Failure::Pdu)?;
        self.responses += 1;
        if response.status != 0 {
            return refused(response.status, pdu);
        }
        if self.responses > MOST_RESPONSES || self.text.len() + pdu.data.len() > LONGEST_TEXT {
            return Err(Failure::Endless);
        }
        self.expected_stat_sn = response.stat_sn.wrapping_add(1);
        let (stage, asked_next) = self.asked;
        // The target may stay where it is, or go where it was asked to: nowhere else.
        if response.stage != Some(stage) || (response.next.is_some() && response.next != asked_next) {
            return Err(Failure::Stage);
        }
        self.text.extend_from_slice(&pdu.data);
        if response.more {
            return Ok(Next::Send(self.request(stage, None, Zeroizing::default())));
        }
        let text = std::mem::take(&mut self.text);
        let keys = text::parse(&text).map_err(Failure::Text)?;
        match stage {
            Stage::Security => self.security(&keys, response),
            Stage::Operational | Stage::FullFeature => self.operational(&keys, response),
        }
    }

    fn security(&mut self, keys: &[(&str, &str)], response: Response) -> Result<Next, Failure> {
        let find = |wanted| keys.iter().find(|(key, _)| *key == wanted).map(|(_, value)| *value);
        let needed = |wanted| find(wanted).ok_or(Failure::Missing(wanted));
        let mut answers = self.take(keys, |key| key == "AuthMethod" || key.starts_with("CHAP_"))?;
        match (std::mem::replace(&mut self.expects, Expects::Transition), self.parameters.account) {
            (Expects::AuthMethod, Some(account)) => {
                match needed("AuthMethod")? {
                    "CHAP" => (),
                    other => return Err(Failure::AuthenticationNotDone(quoted("AuthMethod", other))),
                }
                answers.put("CHAP_A", &account.offer());
                self.expects = Expects::Challenge;
                Ok(self.ask(Stage::Security, None, answers))
            }
            (Expects::Challenge, Some(account)) => {
                let number = needed("CHAP_A")?;
                let algorithm = text::number(number)
                    .and_then(|number| account.chosen(number))
                    .ok_or_else(|| Failure::AuthenticationNotDone(quoted("CHAP_A", number)))?;
                let identifier = needed("CHAP_I")?;
                let bad = || Failure::Key(BadValue { key: "CHAP_I".into(), value: quote(identifier) });
                let identifier =
                    text::number(identifier).and_then(|number| u8::try_from(number).ok()).ok_or_else(bad)?;
                let challenge = chap::decode_binary(needed("CHAP_C")?).map_err(Failure::Challenge)?;
                let answer = algorithm.respond(identifier, account.secret, &challenge);
                answers.put("CHAP_N", account.name);
                answers.put("CHAP_R", &chap::encode_binary(&answer));
                if let Some(mutual) = &account.mutual {
                    // Who could have one answered by the other side would need no secret.
                    if mutual.challenge == *challenge {
                        return Err(Failure::Unproved(Unproved::Reflected));
                    }
                    answers.put("CHAP_I", &mutual.identifier.to_string());
                    answers.put("CHAP_C", &chap::encode_binary(&mutual.challenge));
                    self.expects = Expects::Proof(algorithm, answer);
                }
                Ok(self.ask(Stage::Security, Some(Stage::Operational), answers))
            }
            (Expects::Proof(algorithm, ours), Some(Account { mutual: Some(mutual), .. })) => {
                match (find("CHAP_N"), find("CHAP_R")) {
                    (Some(name), Some(answer)) => {
                        mutual.verify(algorithm, name, answer, &ours).map_err(Failure::Unproved)?;
                    }
                    _ => return Err(Failure::Unproved(Unproved::NoAnswer)),
                }
                Ok(self.leave_security(response, answers))
            }
            // No account, or it was proved: the target is asked to go on, and does, or has more to say first.
            (_, account) => {
                if account.is_none() && find("AuthMethod").is_some_and(|method| method != "None") {
                    return Err(Failure::AuthenticationWanted);
                }
                Ok(self.leave_security(response, answers))
            }
        }
    }

    /// Goes on to the operational stage, as soon as the target does.
    fn leave_security(&mut self, response: Response, answers: Writer) -> Next {
        if response.next.is_none() {
            return self.ask(Stage::Security, Some(Stage::Operational), answers);
        }
        let mut offers = Writer::new();
        self.parameters.offer.put(&mut offers);
        self.ask(Stage::Operational, Some(Stage::FullFeature), offers)
    }

    fn operational(&mut self, keys: &[(&str, &str)], response: Response) -> Result<Next, Failure> {
        let answers = self.take(keys, |_| false)?;
        if response.next.is_none() {
            return Ok(self.ask(Stage::Operational, Some(Stage::FullFeature), answers));
        }
        // A key that came with the last response can no longer be answered; the session stands without it.
        Ok(Next::Done(Session {
            values: self.values.settled(self.parameters.offer).map_err(Failure::Digest)?,
            expected_stat_sn: self.expected_stat_sn,
            tsih: response.tsih,
        }))
    }

    /// Takes all operational keys into the values; gives what is to be answered to them.
    fn take(&mut self, keys: &[(&str, &str)], is_other: impl Fn(&str) -> bool) -> Result<Writer, Failure> {
        let mut answers = Writer::new();
        for (key, value) in keys.iter().filter(|(key, _)| !is_other(key)) {
            let meaning = self.values.take(self.parameters.offer, key, value).map_err(Failure::Key)?;
            if let Meaning::Answer(word) = meaning {
                answers.put(key, word);
            }
        }
        Ok(answers)
    }

    fn ask(&mut self, stage: Stage, next: Option<Stage>, keys: Writer) -> Next {
        Next::Send(self.request(stage, next, keys.finish()))
    }

    fn request(&mut self, stage: Stage, next: Option<Stage>, data: Zeroizing<Vec<u8>>) -> Pdu {
        self.asked = (stage, next);
        Request { stage, next, isid: self.parameters.isid, expected_stat_sn: self.expected_stat_sn, data }
            .encode()
    }
}

fn refused(status: u16, pdu: &Pdu) -> Result<Next, Failure> {
    if status >> 8 == 1 {
        let keys = text::parse(&pdu.data).map_err(Failure::Text)?;
        if let Some((_, address)) = keys.iter().find(|(key, _)| *key == "TargetAddress") {
            return Ok(Next::Moved((*address).to_owned()));
        }
    }
    Err(Failure::Status(status))
}

fn quoted(key: &str, value: &str) -> String {
    format!("{key}={}", quote(value))
}

#[cfg(test)]
#[path = "login_tests.rs"]
mod tests;
