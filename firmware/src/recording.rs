//! Answers of a live machine, kept: the one file of a capture that is no copy of a kernel file.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::health::{HealthCommand, RawHealth};
use crate::ipmi::{IpmiError, IpmiTransport};
use crate::port_module::RawModule;
use crate::probe::{Instruments, Tree};
use crate::signature::Signature;

/// Where it lies in a capture.
pub const PLACE: &str = "/rackwright/live.json";

/// What the instruments and the BMC answered.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Recording {
    /// Firmware version by network port.
    pub network_firmware: BTreeMap<String, String>,
    /// Labels, or why there are none, by disk or partition.
    pub labels: BTreeMap<String, Result<Vec<Signature>, String>>,
    /// Answers about their health, or why there are none, by disk.
    pub health: BTreeMap<String, Result<RawHealth, String>>,
    /// Memory of the modules, or why there is none, by network port; ports without a cage are missing.
    pub modules: BTreeMap<String, Result<RawModule, String>>,
    /// What the BMC was asked and said; absent if there was no transport.
    pub ipmi: Option<Vec<Exchange>>,
}

/// Bytes as hexadecimal digits.
pub(crate) mod digits {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(bytes))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        hex::decode(String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// One request to the BMC and its answer, bytes as hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exchange {
    /// Network function.
    pub function: u8,
    /// Command.
    pub command: u8,
    /// Data of the request.
    pub data: String,
    /// Data of the answer.
    pub answer: Result<String, Refusal>,
}

/// Why the BMC gave no data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Refusal {
    /// Completion code.
    Code(u8),
    /// No answer.
    Unreachable(String),
}

impl Recording {
    /// The recording in a capture; absent in a fixture.
    pub fn read(tree: &Tree) -> Option<Self> {
        serde_json::from_slice(&tree.bytes(PLACE)?).ok()
    }

    /// The recorded BMC.
    pub fn transport(&self) -> Option<RecordedBmc> {
        self.ipmi.clone().map(RecordedBmc)
    }
}

impl Instruments for Recording {
    fn network_firmware(&mut self, kernel_name: &str) -> Option<String> {
        self.network_firmware.get(kernel_name).cloned()
    }

    fn labels(&mut self, kernel_name: &str) -> Result<Vec<Signature>, String> {
        self.labels
            .get(kernel_name)
            .cloned()
            .unwrap_or_else(|| Ok(Vec::new()))
    }

    fn health(&mut self, kernel_name: &str, command: HealthCommand) -> Result<RawHealth, String> {
        let known = self.health.get(kernel_name).cloned();
        known
            .filter(|answer| answer.as_ref().map_or(true, |raw| raw.command == command))
            .unwrap_or_else(|| Err("it was not recorded".to_owned()))
    }

    fn module(&mut self, kernel_name: &str) -> Result<Option<RawModule>, String> {
        self.modules.get(kernel_name).cloned().transpose()
    }
}

/// Answers what was recorded for the same request.
#[derive(Debug, Clone)]
pub struct RecordedBmc(Vec<Exchange>);

impl IpmiTransport for RecordedBmc {
    fn request(&mut self, function: u8, command: u8, data: &[u8]) -> Result<Vec<u8>, IpmiError> {
        let data = hex::encode(data);
        let known = self.0.iter().find(|known| {
            known.function == function && known.command == command && known.data == data
        });
        let unreachable = |reason: &str| IpmiError::Unreachable {
            function,
            command,
            reason: reason.to_owned(),
        };
        match known.map(|known| &known.answer) {
            Some(Ok(answer)) => {
                hex::decode(answer).map_err(|_| unreachable("the recording is damaged"))
            }
            Some(Err(Refusal::Code(code))) => Err(IpmiError::Refused {
                function,
                command,
                code: *code,
            }),
            Some(Err(Refusal::Unreachable(reason))) => Err(unreachable(reason)),
            None => Err(unreachable("it was not recorded")),
        }
    }
}

/// Passes everything on to `inner` and keeps the answers.
pub struct Recorder<'a> {
    inner: &'a mut dyn Instruments,
    /// What was answered so far.
    pub recording: Recording,
}

impl<'a> Recorder<'a> {
    /// Records what `inner` answers.
    pub fn new(inner: &'a mut dyn Instruments) -> Self {
        Self {
            inner,
            recording: Recording::default(),
        }
    }
}

impl Instruments for Recorder<'_> {
    fn network_firmware(&mut self, kernel_name: &str) -> Option<String> {
        let firmware = self.inner.network_firmware(kernel_name)?;
        self.recording
            .network_firmware
            .insert(kernel_name.to_owned(), firmware.clone());
        Some(firmware)
    }

    fn labels(&mut self, kernel_name: &str) -> Result<Vec<Signature>, String> {
        let labels = self.inner.labels(kernel_name);
        self.recording
            .labels
            .insert(kernel_name.to_owned(), labels.clone());
        labels
    }

    fn health(&mut self, kernel_name: &str, command: HealthCommand) -> Result<RawHealth, String> {
        let health = self.inner.health(kernel_name, command);
        self.recording
            .health
            .insert(kernel_name.to_owned(), health.clone());
        health
    }

    fn module(&mut self, kernel_name: &str) -> Result<Option<RawModule>, String> {
        let module = self
            .inner
            .module(kernel_name)
            .map(|module| module.map(RawModule::trimmed));
        if let Some(known) = module.clone().transpose() {
            self.recording.modules.insert(kernel_name.to_owned(), known);
        }
        module
    }
}

/// Passes requests on to a BMC and keeps the exchanges.
pub struct BmcRecorder<'a> {
    inner: &'a mut dyn IpmiTransport,
    /// Exchanges so far.
    pub exchanges: Vec<Exchange>,
}

impl<'a> BmcRecorder<'a> {
    /// Records what `inner` answers.
    pub fn new(inner: &'a mut dyn IpmiTransport) -> Self {
        Self {
            inner,
            exchanges: Vec::new(),
        }
    }
}

impl IpmiTransport for BmcRecorder<'_> {
    fn request(&mut self, function: u8, command: u8, data: &[u8]) -> Result<Vec<u8>, IpmiError> {
        let answer = self.inner.request(function, command, data);
        let kept = match &answer {
            Ok(bytes) => Ok(hex::encode(bytes)),
            Err(IpmiError::Refused { code, .. }) => Err(Refusal::Code(*code)),
            Err(IpmiError::Unreachable { reason, .. }) => Err(Refusal::Unreachable(reason.clone())),
            Err(error @ IpmiError::Interrupted { .. }) => {
                Err(Refusal::Unreachable(error.to_string()))
            }
        };
        self.exchanges.push(Exchange {
            function,
            command,
            data: hex::encode(data),
            answer: kept,
        });
        answer
    }
}
