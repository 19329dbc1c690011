//! A BMC in memory, as an X10 board has one: with accounts, LAN settings, serial console, event log, sensors, label and boot
//! wishes that are kept, and with faults on demand. Tests of everything that talks to a BMC run against it.

use std::collections::{BTreeMap, BTreeSet};

use crate::ipmi::{IpmiError, IpmiTransport};

/// One slot of the accounts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SimulatedUser {
    /// Name.
    pub name: String,
    /// 16 bytes.
    pub password: [u8; 16],
    /// May log in.
    pub enabled: bool,
    /// Privilege in bits 3 to 0, messages in bit 4.
    pub rights: u8,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It answers with this completion code.
    Code(u8),
    /// It says yes and does nothing.
    Ignore,
    /// It does not answer.
    Silent,
    /// It answers without data.
    Short,
}

/// A BMC.
#[derive(Debug, Clone)]
pub struct Simulated {
    /// Enterprise number.
    pub manufacturer: u32,
    /// Product id.
    pub product: u16,
    /// Number of the LAN channel.
    pub channel: u8,
    /// LAN parameters without their revision.
    pub lan: BTreeMap<u8, Vec<u8>>,
    /// A new LAN setting sticks only while the channel is closed, as some firmware has it.
    pub only_when_closed: bool,
    /// Access of the channel, after a restart and now: both bytes of Get Channel Access.
    pub access: [[u8; 2]; 2],
    /// Slots from 1.
    pub users: Vec<SimulatedUser>,
    /// It tests passwords.
    pub tests_passwords: bool,
    /// It calls every password right.
    pub believes_any_password: bool,
    /// What was written since the lock was taken is lost unless it is committed: what was before.
    pub rolls_back: bool,
    /// Settings to go back to.
    pub before: Option<BTreeMap<u8, Vec<u8>>>,
    /// Records of cipher suites.
    pub ciphers: Vec<u8>,
    /// Parameters of the serial console.
    pub sol: BTreeMap<u8, u8>,
    /// Slots that may use the serial console.
    pub console_users: BTreeSet<u8>,
    /// The serial console is in use.
    pub console_in_use: bool,
    /// Supermicro's LAN port.
    pub mode: u8,
    /// Event log.
    pub sel: Vec<[u8; 16]>,
    /// Clock.
    pub time: u32,
    /// Label.
    pub fru: Vec<u8>,
    /// Most bytes of the label that are given at once.
    pub fru_piece: u8,
    /// Sensor records.
    pub sdr: Vec<Vec<u8>>,
    /// Reading and states by sensor number.
    pub readings: BTreeMap<u8, Vec<u8>>,
    /// Power.
    pub on: bool,
    /// Boot parameters.
    pub boot: BTreeMap<u8, Vec<u8>>,
    /// Faults by network function and command, and how often each still happens.
    pub faults: BTreeMap<(u8, u8), (Fault, u32)>,
    /// What it was asked: network function, command, first bytes of the data. Never a password.
    pub requests: Vec<(u8, u8, Vec<u8>)>,
    /// A clear of the log takes this many questions.
    pub clearing: u8,
}

impl Default for Simulated {
    fn default() -> Self {
        Self::x10()
    }
}

impl Simulated {
    /// An X10DRH's BMC as it comes from the factory.
    #[must_use]
    pub fn x10() -> Self {
        let mut users = vec![SimulatedUser::default(); 10];
        users[1] = SimulatedUser {
            name: "ADMIN".into(),
            password: *b"ADMIN\0\0\0\0\0\0\0\0\0\0\0",
            enabled: true,
            rights: 0x14,
        };
        Self {
            manufacturer: 10876,
            product: 0x0859,
            channel: 1,
            lan: BTreeMap::from([
                (0, vec![0]),
                (3, vec![192, 168, 1, 99]),
                (4, vec![2]),
                (5, vec![0x0c, 0xc4, 0x7a, 0, 0, 1]),
                (6, vec![255, 255, 255, 0]),
                (10, vec![0x00]),
                (12, vec![0, 0, 0, 0]),
                (20, vec![0, 0]),
            ]),
            only_when_closed: false,
            access: [[0x22, 4], [0x22, 4]],
            users,
            tests_passwords: true,
            believes_any_password: false,
            rolls_back: false,
            before: None,
            ciphers: vec![0xc0, 3, 0x01, 0x41, 0x81, 0xc0, 17, 0x03, 0x44, 0x81],
            sol: BTreeMap::from([(1, 0), (2, 2), (5, 6), (6, 6)]),
            console_users: BTreeSet::from([2]),
            console_in_use: false,
            mode: 2,
            sel: Vec::new(),
            time: 1_795_420_800,
            fru: Vec::new(),
            fru_piece: 32,
            sdr: Vec::new(),
            readings: BTreeMap::new(),
            on: true,
            boot: BTreeMap::from([(5, vec![0; 5])]),
            faults: BTreeMap::new(),
            requests: Vec::new(),
            clearing: 1,
        }
    }

    /// From now on, this happens so often to a command.
    pub fn fault(&mut self, function: u8, command: u8, fault: Fault, times: u32) {
        self.faults.insert((function, command), (fault, times));
    }

    /// Completion code and data; nothing if it does not answer.
    pub fn answer(&mut self, function: u8, command: u8, data: &[u8]) -> Option<Vec<u8>> {
        let kept = if (function, command) == (6, 0x47) {
            2
        } else {
            8
        };
        let shown = data.iter().copied().take(kept).collect();
        self.requests.push((function, command, shown));
        if let Some((fault, times)) = self.faults.get_mut(&(function, command))
            && *times > 0
        {
            *times -= 1;
            return match fault {
                Fault::Code(code) => Some(vec![*code]),
                Fault::Ignore | Fault::Short => Some(vec![0]),
                Fault::Silent => None,
            };
        }
        Some(match self.act(function, command, data) {
            Ok(mut bytes) => {
                bytes.insert(0, 0);
                bytes
            }
            Err(code) => vec![code],
        })
    }

    fn act(&mut self, function: u8, command: u8, data: &[u8]) -> Result<Vec<u8>, u8> {
        match (function, command) {
            (0x00, _) => self.chassis(command, data),
            (0x04, 0x2d) => self.readings.get(&at(data, 0)?).cloned().ok_or(0xcb),
            (0x06, _) => self.application(command, data),
            (0x0a, _) => self.storage(command, data),
            (0x0c, _) => self.transport(command, data),
            (0x30, 0x70) if self.manufacturer == 10876 => match data {
                [0x0c, 0] => Ok(vec![self.mode]),
                [0x0c, 1, mode @ 0..=2] => {
                    self.mode = *mode;
                    Ok(Vec::new())
                }
                _ => Err(0xcc),
            },
            _ => Err(0xc1),
        }
    }

    fn chassis(&mut self, command: u8, data: &[u8]) -> Result<Vec<u8>, u8> {
        match command {
            0x01 => Ok(vec![u8::from(self.on) | 0x20, 0, 0]),
            0x02 => {
                let on = self.on;
                self.on = match (at(data, 0)?, on) {
                    (0 | 5, true) => false,
                    (1, false) => true,
                    (2 | 3, true) => true,
                    _ => return Err(0xd5),
                };
                Ok(Vec::new())
            }
            0x08 => {
                let number = at(data, 0)? & 0x7f;
                self.boot
                    .insert(number, data.get(1..).unwrap_or_default().to_vec());
                Ok(Vec::new())
            }
            0x09 => {
                let number = at(data, 0)?;
                let value = self.boot.get(&number).ok_or(0x80_u8)?;
                Ok([&[1, number][..], value].concat())
            }
            _ => Err(0xc1),
        }
    }

    fn application(&mut self, command: u8, data: &[u8]) -> Result<Vec<u8>, u8> {
        match command {
            0x01 => {
                let [a, b, c, _] = self.manufacturer.to_le_bytes();
                let [d, e] = self.product.to_le_bytes();
                Ok(vec![0x20, 1, 3, 0x80, 2, 0xbf, a, b, c, d, e, 0, 0, 0, 0])
            }
            0x42 => {
                let asked = at(data, 0)?;
                let medium = if asked == self.channel { 4 } else { 5 };
                Ok(vec![asked, medium, 1, 0x80, 0xf2, 0x1b, 0, 0, 0])
            }
            0x41 => {
                self.is_lan(at(data, 0)?)?;
                Ok(self.access[place(at(data, 1)?)?].to_vec())
            }
            0x40 => {
                self.is_lan(at(data, 0)?)?;
                let (mode, limit) = (at(data, 1)?, at(data, 2)?);
                let place = place(mode)?;
                self.access[place] = [mode & 0x3f, limit & 0x0f];
                Ok(Vec::new())
            }
            0x54 => {
                let start = usize::from(at(data, 2)? & 0x3f) * 16;
                let rest = self.ciphers.get(start..).unwrap_or_default();
                let mut bytes = vec![self.channel];
                bytes.extend(rest.iter().take(16));
                Ok(bytes)
            }
            0x43..=0x47 | 0x4c | 0x4d => self.account(command, data),
            0x4a => Ok(vec![1, u8::from(self.console_in_use), 0]),
            _ => Err(0xc1),
        }
    }

    fn account(&mut self, command: u8, data: &[u8]) -> Result<Vec<u8>, u8> {
        // Where the slot stands in the request.
        let slot = match command {
            0x43 | 0x44 | 0x4c | 0x4d => at(data, 1)? & 0x3f,
            _ => at(data, 0)? & 0x3f,
        };
        let most = u8::try_from(self.users.len()).map_err(|_| 0xff)?;
        let enabled = self.users.iter().filter(|user| user.enabled).count();
        let (tests, believes) = (self.tests_passwords, self.believes_any_password);
        let user = usize::from(slot).checked_sub(1);
        let user = user.and_then(|slot| self.users.get_mut(slot)).ok_or(0xcc)?;
        let mut answer = Vec::new();
        match command {
            0x44 => {
                let state = if user.enabled { 0x40 } else { 0x80 };
                let enabled = u8::try_from(enabled).map_err(|_| 0xff)?;
                answer = vec![most, state | enabled, 1, user.rights];
            }
            0x43 => {
                let (flags, limit) = (at(data, 0)?, at(data, 2)? & 0x0f);
                let messages = if flags & 0x80 != 0 {
                    flags & 0x10
                } else {
                    user.rights & 0x10
                };
                user.rights = messages | limit;
            }
            0x46 => {
                answer = user.name.bytes().collect();
                answer.resize(16, 0);
            }
            0x45 => {
                let name = data.get(1..17).ok_or(0xc7)?;
                let name = name.iter().take_while(|byte| **byte != 0);
                user.name = name.map(|byte| char::from(*byte)).collect();
            }
            0x47 => {
                let password = data.get(2..18).and_then(|bytes| bytes.try_into().ok());
                match (at(data, 1)?, password) {
                    (0, _) => user.enabled = false,
                    (1, _) => user.enabled = true,
                    (2, Some(password)) => user.password = password,
                    (3, Some(_)) if !tests => return Err(0xc1),
                    (3, Some(password)) if !believes && user.password != password => {
                        return Err(0x80);
                    }
                    (3, Some(_)) => {}
                    _ => return Err(0xc7),
                }
            }
            0x4c => {
                if at(data, 1)? & 0xc0 == 0 {
                    self.console_users.insert(slot);
                }
            }
            _ => answer = vec![u8::from(self.console_users.contains(&slot)) << 1, 0, 0, 0],
        }
        Ok(answer)
    }

    fn storage(&mut self, command: u8, data: &[u8]) -> Result<Vec<u8>, u8> {
        match command {
            0x10 if !self.fru.is_empty() => {
                let [low, high] = u16::try_from(self.fru.len())
                    .map_err(|_| 0xff_u8)?
                    .to_le_bytes();
                Ok(vec![low, high, 0])
            }
            0x11 => {
                let start = u16::from_le_bytes([at(data, 1)?, at(data, 2)?]);
                let count = at(data, 3)?;
                if count > self.fru_piece {
                    return Err(0xca);
                }
                let rest = self.fru.get(usize::from(start)..).ok_or(0xc9)?;
                let piece = &rest[..rest.len().min(count.into())];
                Ok([&[count][..], piece].concat())
            }
            0x22 | 0x42 => Ok(vec![7, 0]),
            0x23 => {
                let id = usize::from(u16::from_le_bytes([at(data, 2)?, at(data, 3)?]));
                let record = self.sdr.get(id).ok_or(0xcb)?;
                let start = usize::from(at(data, 4)?);
                let rest = record.get(start..).ok_or(0xc9)?;
                let piece = &rest[..rest.len().min(at(data, 5)?.into())];
                let next = if id + 1 == self.sdr.len() {
                    [0xff, 0xff]
                } else {
                    [u8::try_from(id + 1).map_err(|_| 0xff)?, 0]
                };
                Ok([&next[..], piece].concat())
            }
            0x40 => {
                let [low, high] = u16::try_from(self.sel.len())
                    .map_err(|_| 0xff_u8)?
                    .to_le_bytes();
                Ok(vec![0x51, low, high, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0x02])
            }
            0x43 => {
                let asked = u16::from_le_bytes([at(data, 2)?, at(data, 3)?]);
                let place = usize::from(asked.saturating_sub(1));
                let record = self.sel.get(place).ok_or(0xcb)?;
                let next = match u16::try_from(place + 2) {
                    Ok(next) if place + 1 < self.sel.len() => next.to_le_bytes(),
                    _ => [0xff, 0xff],
                };
                Ok([&next[..], record].concat())
            }
            0x47 => {
                if data.get(..5) != Some(&[7, 0, b'C', b'L', b'R'][..]) {
                    return Err(0xc5);
                }
                self.clearing = self.clearing.saturating_sub(1);
                let done = self.clearing == 0;
                if done {
                    self.sel.clear();
                }
                Ok(vec![u8::from(done)])
            }
            0x48 => Ok(self.time.to_le_bytes().to_vec()),
            0x49 => {
                let time = data.get(..4).and_then(|bytes| bytes.try_into().ok());
                self.time = u32::from_le_bytes(time.ok_or(0xc7_u8)?);
                Ok(Vec::new())
            }
            _ => Err(0xc1),
        }
    }

    fn transport(&mut self, command: u8, data: &[u8]) -> Result<Vec<u8>, u8> {
        self.is_lan(at(data, 0)?)?;
        let number = at(data, 1)?;
        match command {
            0x01 => {
                let value = data.get(2..).unwrap_or_default();
                let old = self.lan.get(&number).ok_or(0x80_u8)?;
                if number == 5 {
                    return Err(0x82);
                }
                if old.len() != value.len() {
                    return Err(0xc7);
                }
                if number == 0 && self.rolls_back {
                    return self.lock(at(value, 0)?);
                }
                // The volatile mode is what holds now.
                if number == 0 || !self.only_when_closed || self.access[1][0] & 0x07 == 0 {
                    self.lan.insert(number, value.to_vec());
                }
                Ok(Vec::new())
            }
            0x02 => {
                let value = self.lan.get(&number).ok_or(0x80_u8)?;
                Ok([&[0x11][..], value].concat())
            }
            0x21 => {
                let value = self.sol.get_mut(&number).ok_or(0x80_u8)?;
                *value = at(data, 2)?;
                Ok(Vec::new())
            }
            0x22 => Ok(vec![0x11, *self.sol.get(&number).ok_or(0x80_u8)?]),
            _ => Err(0xc1),
        }
    }

    /// Set in progress (1), commit (2), complete (0), with rollback.
    fn lock(&mut self, state: u8) -> Result<Vec<u8>, u8> {
        match state {
            1 if self.before.is_some() => return Err(0x81),
            1 | 2 => self.before = Some(self.lan.clone()),
            _ => {
                if let Some(before) = self.before.take() {
                    self.lan = before;
                }
            }
        }
        Ok(Vec::new())
    }

    fn is_lan(&self, channel: u8) -> Result<(), u8> {
        // 0x0e is the channel that is asked by.
        if channel == self.channel || channel == 0x0e {
            return Ok(());
        }
        Err(0xcc)
    }
}

fn at(data: &[u8], place: usize) -> Result<u8, u8> {
    data.get(place).copied().ok_or(0xc7)
}

/// After a restart (01), or now (10).
fn place(byte: u8) -> Result<usize, u8> {
    match byte >> 6 {
        1 => Ok(0),
        2 => Ok(1),
        _ => Err(0xcc),
    }
}

impl IpmiTransport for Simulated {
    fn request(&mut self, function: u8, command: u8, data: &[u8]) -> Result<Vec<u8>, IpmiError> {
        match self.answer(function, command, data) {
            Some(mut bytes) if bytes.first() == Some(&0) => {
                bytes.remove(0);
                Ok(bytes)
            }
            Some(bytes) => Err(IpmiError::Refused {
                function,
                command,
                code: bytes.first().copied().unwrap_or(0xff),
            }),
            None => Err(IpmiError::Unreachable {
                function,
                command,
                reason: "it is silent".into(),
            }),
        }
    }
}
