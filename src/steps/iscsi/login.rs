//! The login as a state machine without input and output: responses in, requests out (RFC 7143, section 6.3).
//!
//! With an account the security stage comes first, with CHAP as the only offer: without it nobody is asked to
//! prove anything, and the offer is `None`. Then the operational stage, then the session is there.

use zeroize::Zeroizing;

use super::chap::{self, Algorithm};
use super::negotiation::{self, Meaning, Values};
use super::pdu::{Pdu, Request, Response, Stage};
use super::status::Failure;
use super::text::{self, Writer};
use crate::input::secret::Secret;

/// So many responses, and no session yet: there will be none. A login with CHAP takes four.
const MOST_RESPONSES: u32 = 24;
/// The longest text that comes in parts.
const LONGEST_TEXT: usize = 32 * 1024;

/// Who logs in where.
#[derive(Clone, Copy)]
pub struct Parameters<'a> {
    /// The initiator's name.
    pub initiator: &'a str,
    /// The target's name.
    pub target: &'a str,
    /// The initiator's part of the session identifier.
    pub isid: [u8; 6],
    /// The account at the target; none: no authentication.
    pub account: Option<Account<'a>>,
}

/// What the initiator proves who it is with.
#[derive(Clone, Copy)]
pub struct Account<'a> {
    /// CHAP_N.
    pub name: &'a str,
    /// The secret.
    pub secret: &'a Secret,
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
#[derive(Clone, Copy, PartialEq, Eq)]
enum Expects {
    AuthMethod,
    Challenge,
    /// The step to the operational stage, with nothing left to say.
    Operational,
    FullFeature,
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
        keys.put("TargetName", parameters.target);
        keys.put("SessionType", "Normal");
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
        let mut answers = Writer::new();
        for (key, value) in keys {
            if matches!(*key, "AuthMethod" | "CHAP_A" | "CHAP_I" | "CHAP_C") {
                continue;
            }
            if let Meaning::Answer(word) = self.values.take(key, value).map_err(Failure::Key)? {
                answers.put(key, word);
            }
        }
        match (self.expects, self.parameters.account) {
            (Expects::AuthMethod, Some(_)) => {
                match find("AuthMethod").ok_or(Failure::Missing("AuthMethod"))? {
                    "CHAP" => (),
                    other => return Err(Failure::AuthenticationNotDone(quoted("AuthMethod", other))),
                }
                answers.put("CHAP_A", &Algorithm::Md5.number().to_string());
                self.expects = Expects::Challenge;
                Ok(self.ask(Stage::Security, None, answers))
            }
            (Expects::Challenge, Some(account)) => {
                let algorithm = find("CHAP_A").ok_or(Failure::Missing("CHAP_A"))?;
                if text::number(algorithm) != Some(Algorithm::Md5.number().into()) {
                    return Err(Failure::AuthenticationNotDone(quoted("CHAP_A", algorithm)));
                }
                let identifier = find("CHAP_I").ok_or(Failure::Missing("CHAP_I"))?;
                let identifier = text::number(identifier)
                    .and_then(|number| u8::try_from(number).ok())
                    .ok_or_else(|| {
                        Failure::Key(negotiation::BadValue { key: "CHAP_I".into(), value: quote(identifier) })
                    })?;
                let challenge = find("CHAP_C").ok_or(Failure::Missing("CHAP_C"))?;
                let challenge = chap::decode_binary(challenge).map_err(Failure::Challenge)?;
                let answer = Algorithm::Md5.respond(identifier, account.secret, &challenge);
                answers.put("CHAP_N", account.name);
                answers.put("CHAP_R", &chap::encode_binary(&answer));
                self.expects = Expects::Operational;
                Ok(self.ask(Stage::Security, Some(Stage::Operational), answers))
            }
            // No account, or it was proved: the target is asked to go on, and does, or has more to say first.
            _ => {
                if self.parameters.account.is_none()
                    && find("AuthMethod").is_some_and(|method| method != "None")
                {
                    return Err(Failure::AuthenticationWanted);
                }
                self.expects = Expects::Operational;
                if response.next.is_none() {
                    return Ok(self.ask(Stage::Security, Some(Stage::Operational), answers));
                }
                self.expects = Expects::FullFeature;
                let mut offers = Writer::new();
                negotiation::offer(&mut offers);
                Ok(self.ask(Stage::Operational, Some(Stage::FullFeature), offers))
            }
        }
    }

    fn operational(&mut self, keys: &[(&str, &str)], response: Response) -> Result<Next, Failure> {
        let mut answers = Writer::new();
        for (key, value) in keys {
            if let Meaning::Answer(word) = self.values.take(key, value).map_err(Failure::Key)? {
                answers.put(key, word);
            }
        }
        if response.next.is_none() {
            return Ok(self.ask(Stage::Operational, Some(Stage::FullFeature), answers));
        }
        // A key that came with the last response can no longer be answered; the session stands without it.
        Ok(Next::Done(Session {
            values: self.values.settled(),
            expected_stat_sn: self.expected_stat_sn,
            tsih: response.tsih,
        }))
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

/// What the target wrote, fit for a message: short, and without control characters.
fn quote(value: &str) -> String {
    value.chars().take(40).flat_map(char::escape_default).collect()
}

fn quoted(key: &str, value: &str) -> String {
    format!("{key}={}", quote(value))
}

#[cfg(test)]
#[path = "login_tests.rs"]
mod tests;
