//! PDUs of a discovery session after its login: text request and response, and logout (RFC 7143, sections 11.10,
//! 11.11 and 11.14). All requests are immediate, so that CmdSN stays what it was in the login: 0.

use zeroize::Zeroizing;

use super::pdu::{BHS, Malformed, Pdu};

/// Opcodes with the immediate bit.
const TEXT_REQUEST: u8 = 0x44;
const LOGOUT_REQUEST: u8 = 0x46;
/// Opcodes of the target.
const NOP_IN: u8 = 0x20;
const TEXT_RESPONSE: u8 = 0x24;
const LOGOUT_RESPONSE: u8 = 0x26;
const ASYNC_MESSAGE: u8 = 0x32;
const REJECT: u8 = 0x3f;
const FINAL: u8 = 0x80;
const CONTINUE: u8 = 0x40;
/// The tag of no task and no transfer.
const NO_TAG: u32 = 0xffff_ffff;
/// The one task of the session.
const TASK_TAG: u32 = 1;

/// A text request.
pub struct Request {
    /// What the last response said goes on; none: the text is a new one.
    pub continued: Option<Continued>,
    /// The StatSN expected next.
    pub expected_stat_sn: u32,
    /// The text keys.
    pub data: Vec<u8>,
}

/// Where a target is in a text that it sends in parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Continued {
    /// As in the response.
    lun: [u8; 8],
    /// As in the response.
    transfer_tag: u32,
}

impl Request {
    /// As it travels.
    pub fn encode(self) -> Pdu {
        let mut bhs = [0; BHS];
        bhs[0] = TEXT_REQUEST;
        bhs[1] = FINAL;
        let length = u32::try_from(self.data.len()).unwrap_or(u32::MAX).to_be_bytes();
        bhs[5..8].copy_from_slice(&length[1..]);
        bhs[16..20].copy_from_slice(&TASK_TAG.to_be_bytes());
        bhs[20..24].copy_from_slice(&NO_TAG.to_be_bytes());
        if let Some(continued) = self.continued {
            bhs[8..16].copy_from_slice(&continued.lun);
            bhs[20..24].copy_from_slice(&continued.transfer_tag.to_be_bytes());
        }
        bhs[28..32].copy_from_slice(&self.expected_stat_sn.to_be_bytes());
        Pdu { bhs, data: Zeroizing::new(self.data) }
    }
}

/// The request to close the session.
pub fn logout(expected_stat_sn: u32) -> Pdu {
    let mut bhs = [0; BHS];
    bhs[0] = LOGOUT_REQUEST;
    // Reason 0: the session, with its one connection.
    bhs[1] = FINAL;
    bhs[16..20].copy_from_slice(&(TASK_TAG + 1).to_be_bytes());
    bhs[28..32].copy_from_slice(&expected_stat_sn.to_be_bytes());
    Pdu { bhs, data: Zeroizing::default() }
}

/// It answers a logout, whatever it says about it.
pub fn is_logout_response(bhs: &[u8; BHS]) -> bool {
    bhs[0] & 0x3f == LOGOUT_RESPONSE
}

/// What a target sends to a text request.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// Text, in the PDU's data.
    Text {
        /// There is more to ask for; none: that was all.
        continued: Option<Continued>,
        /// The response's own status sequence number.
        stat_sn: u32,
    },
    /// The request was rejected, for this reason.
    Rejected(u8),
    /// Something that is no answer: a ping, a notice. The session is over before either wants one.
    Aside,
}

impl Answer {
    /// Reads the header of `pdu`.
    ///
    /// # Errors
    /// A target cannot send this now.
    pub fn decode(pdu: &Pdu) -> Result<Answer, Malformed> {
        let bhs = &pdu.bhs;
        match bhs[0] & 0x3f {
            TEXT_RESPONSE => (),
            REJECT => return Ok(Answer::Rejected(bhs[2])),
            NOP_IN | ASYNC_MESSAGE => return Ok(Answer::Aside),
            opcode => return Err(Malformed::Opcode(opcode)),
        }
        if Pdu::data_length(bhs) != pdu.data.len() {
            return Err(Malformed::Length);
        }
        if u32::from_be_bytes([bhs[16], bhs[17], bhs[18], bhs[19]]) != TASK_TAG {
            return Err(Malformed::TaskTag);
        }
        let [_, _, _, _, _, _, _, _, lun @ .., _, _, _, _] =
            *bhs.first_chunk::<20>().ok_or(Malformed::Length)?;
        let transfer_tag = u32::from_be_bytes([bhs[20], bhs[21], bhs[22], bhs[23]]);
        let continued = match (bhs[1] & FINAL != 0, bhs[1] & CONTINUE != 0) {
            (true, true) => return Err(Malformed::Transition),
            (true, false) => None,
            (false, _) if transfer_tag == NO_TAG => return Err(Malformed::TransferTag),
            (false, _) => Some(Continued { lun, transfer_tag }),
        };
        Ok(Answer::Text { continued, stat_sn: u32::from_be_bytes([bhs[24], bhs[25], bhs[26], bhs[27]]) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn requests_are_laid_out_as_the_rfc_says() {
        let continued = Continued { lun: [1, 2, 3, 4, 5, 6, 7, 8], transfer_tag: 0x0a0b_0c0d };
        for (continued, lun, tag) in
            [(None, [0; 8], [0xff; 4]), (Some(continued), continued.lun, [0x0a, 0x0b, 0x0c, 0x0d])]
        {
            let pdu = Request { continued, expected_stat_sn: 7, data: b"A=B\0".to_vec() }.encode();
            let mut expected = [0; BHS];
            expected[0] = 0x44;
            expected[1] = 0x80;
            expected[7] = 4;
            expected[8..16].copy_from_slice(&lun);
            expected[19] = 1;
            expected[20..24].copy_from_slice(&tag);
            expected[31] = 7;
            assert_eq!(pdu.bhs, expected);
            assert_eq!(*pdu.data, b"A=B\0");
        }
        let mut expected = [0; BHS];
        expected[..2].copy_from_slice(&[0x46, 0x80]);
        expected[19] = 2;
        expected[31] = 8;
        assert_eq!(logout(8).bhs, expected);
    }

    #[test]
    fn the_answer_to_a_logout_is_told_from_others() {
        let mut bhs = [0; BHS];
        for (opcode, answers) in [(0x26, true), (0x66, true), (0x23, false), (0x20, false), (0x32, false)] {
            bhs[0] = opcode;
            assert_eq!(is_logout_response(&bhs), answers, "{opcode:#x}");
        }
    }

    fn answer(change: impl FnOnce(&mut [u8; BHS])) -> Result<Answer, Malformed> {
        let mut bhs = [0; BHS];
        bhs[0] = 0x24;
        bhs[1] = 0x80;
        bhs[8..16].copy_from_slice(&[9; 8]);
        bhs[19] = 1;
        bhs[20..24].copy_from_slice(&[0xff; 4]);
        bhs[27] = 5;
        change(&mut bhs);
        Answer::decode(&Pdu { bhs, data: Zeroizing::default() })
    }

    #[test]
    fn answers_are_read_as_the_rfc_says() {
        assert_eq!(answer(|_| ()), Ok(Answer::Text { continued: None, stat_sn: 5 }));
        let continued = Some(Continued { lun: [9; 8], transfer_tag: 3 });
        for flags in [0x00, 0x40] {
            let read = answer(|bhs| {
                bhs[1] = flags;
                bhs[20..24].copy_from_slice(&[0, 0, 0, 3]);
            });
            assert_eq!(read, Ok(Answer::Text { continued, stat_sn: 5 }));
        }
        assert_eq!(answer(|bhs| bhs[..3].copy_from_slice(&[0x3f, 0x80, 4])), Ok(Answer::Rejected(4)));
        assert_eq!(answer(|bhs| bhs[0] = 0x20), Ok(Answer::Aside));
        assert_eq!(answer(|bhs| bhs[0] = 0x32), Ok(Answer::Aside));
        assert_eq!(answer(|bhs| bhs[0] = 0x23), Err(Malformed::Opcode(0x23)));
        assert_eq!(answer(|bhs| bhs[1] = 0xc0), Err(Malformed::Transition));
        assert_eq!(answer(|bhs| bhs[1] = 0x40), Err(Malformed::TransferTag));
        assert_eq!(answer(|bhs| bhs[19] = 2), Err(Malformed::TaskTag));
        assert_eq!(answer(|bhs| bhs[7] = 1), Err(Malformed::Length));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_decoder_panic(bhs: [u8; 48], data: Vec<u8>) {
            let _ = Answer::decode(&Pdu { bhs, data: Zeroizing::new(data) });
        }
    }
}
