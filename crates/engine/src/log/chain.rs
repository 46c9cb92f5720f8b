//! The hash chain: what a record's hash covers, so that no record can be changed, moved, added or taken out unseen.
//!
//! `hash = SHA-256(previous hash ‖ seq ‖ at ‖ change ‖ subject ‖ payload)`, where seq is eight bytes, big-endian, and
//! each of the others is its bytes as they are stored, preceded by their number as eight bytes, big-endian. The record
//! before the first has the hash of 32 zero bytes. This definition is part of schema 1 and never changes.

use airlift_core::event::{Entry, Record, Subject};
use airlift_core::id::{ChangeId, Digest};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::error::Fault;

/// The end of a log: its last record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Its sequence number; 0 for an empty log.
    pub seq: u64,
    /// Its hash.
    pub hash: Digest,
}

impl Head {
    /// The head of an empty log.
    pub const EMPTY: Self = Self { seq: 0, hash: Digest::from_bytes([0; 32]) };
}

/// The hash of the record that follows the one with hash `previous`. The texts are at, change, subject, payload.
pub(super) fn hash(previous: &Digest, seq: u64, texts: [&[u8]; 4]) -> Digest {
    let mut hash = Sha256::new();
    hash.update(previous.as_bytes());
    hash.update(seq.to_be_bytes());
    for text in texts {
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text);
    }
    Digest::from_bytes(hash.finalize().into())
}

/// An entry together with the JSON text that stands for its event from now on.
#[derive(Debug)]
pub(super) struct Prepared {
    entry: Entry,
    payload: String,
}

impl Prepared {
    pub(super) fn new(entry: Entry) -> Self {
        let payload = serde_json::to_string(&entry.event).expect("an event has only text keys and finite numbers");
        Self { entry, payload }
    }
}

/// A record with its fields exactly as they are stored.
#[derive(Debug, Clone)]
pub(super) struct Linked {
    pub(super) record: Record,
    pub(super) at: String,
    pub(super) subject: String,
    pub(super) payload: String,
}

impl Linked {
    /// Gives `prepared` its place after `head`.
    pub(super) fn after(head: &Head, at: Timestamp, prepared: Prepared) -> Self {
        let Prepared { entry: Entry { change, subject, event }, payload } = prepared;
        let (seq, at_text, subject_text) = (head.seq + 1, at.to_string(), subject.to_string());
        let texts = [at_text.as_bytes(), change.as_str().as_bytes(), subject_text.as_bytes(), payload.as_bytes()];
        let hash = hash(&head.hash, seq, texts);
        let record = Record { seq, at, change, subject, event, hash };
        Self { record, at: at_text, subject: subject_text, payload }
    }

    pub(super) fn head(&self) -> Head {
        Head { seq: self.record.seq, hash: self.record.hash }
    }
}

/// The present moment as records carry it: to the millisecond.
pub(super) fn now() -> Timestamp {
    Timestamp::from_millisecond(Timestamp::now().as_millisecond()).expect("the present is in range")
}

/// A record as a row of the events table has it.
pub(super) struct Row {
    pub(super) seq: u64,
    pub(super) at: String,
    pub(super) change: String,
    pub(super) subject: String,
    pub(super) payload: String,
    pub(super) hash: [u8; 32],
}

impl Row {
    pub(super) fn decode(self) -> Result<Record, Fault> {
        let seq = self.seq;
        let undecodable = |cause: String| Fault::Undecodable { seq, cause };
        Ok(Record {
            seq,
            at: self.at.parse().map_err(|error: jiff::Error| undecodable(error.to_string()))?,
            change: self.change.parse::<ChangeId>().map_err(|error| undecodable(error.to_string()))?,
            subject: Subject::try_from(self.subject).map_err(|error| undecodable(error.to_string()))?,
            event: serde_json::from_str(&self.payload).map_err(|error| undecodable(error.to_string()))?,
            hash: Digest::from_bytes(self.hash),
        })
    }
}
