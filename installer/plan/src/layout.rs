//! The shape of a pool: which vdevs, how wide, how many spares. Defaults for a number of disks, and a few words to say
//! otherwise.

use std::fmt;

use crate::size::decimal;

/// Redundancy of a vdev.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Every member holds all.
    Mirror,
    /// raidz with 1 to 3 parity disks.
    Raidz(usize),
    /// dRAID: parity, and data disks per redundancy group; spares are distributed inside.
    Draid {
        /// 1 to 3.
        parity: usize,
        /// Per group.
        data: usize,
    },
}

/// What a pool is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// Small random synchronous writes: as many vdevs as possible.
    Mail,
    /// Large sequential writes: as much room as is safe.
    Capacity,
}

/// A pool's shape for a given number of disks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolLayout {
    /// Redundancy.
    pub kind: Kind,
    /// Disks in a vdev.
    pub width: usize,
    /// Vdevs.
    pub vdevs: usize,
    /// Hot spares; for dRAID: distributed spares.
    pub spares: usize,
}

/// Widest raidz by default: a resilver reads all of a vdev, and its time grows with the width.
const WIDEST: usize = 12;
/// Narrowest raidz2 by default where more than one vdev is made.
const NARROWEST: usize = 5;

impl PoolLayout {
    /// The default for a number of disks; `None` below two.
    #[must_use]
    pub fn default_for(disks: usize, purpose: Use) -> Option<Self> {
        match (purpose, disks) {
            (_, 0 | 1) => None,
            // An odd disk is a spare; from 20 disks on there are two, because two failures within a resilver are likely.
            (Use::Mail, _) => {
                let spares = if disks % 2 == 1 {
                    1
                } else if disks >= 20 {
                    2
                } else {
                    0
                };
                Some(Self {
                    kind: Kind::Mirror,
                    width: 2,
                    vdevs: (disks - spares) / 2,
                    spares,
                })
            }
            (Use::Capacity, 2) => Some(Self {
                kind: Kind::Mirror,
                width: 2,
                vdevs: 1,
                spares: 0,
            }),
            (Use::Capacity, 3) => Some(Self {
                kind: Kind::Raidz(1),
                width: 3,
                vdevs: 1,
                spares: 0,
            }),
            (Use::Capacity, 4) => Some(Self {
                kind: Kind::Raidz(2),
                width: 4,
                vdevs: 1,
                spares: 0,
            }),
            // The most room that raidz2 of 5 to 12 disks gives while, from 10 disks on, a spare is left; with equal room
            // more vdevs.
            (Use::Capacity, _) => {
                let least_spares = usize::from(disks >= 10);
                (NARROWEST..=WIDEST.min(disks))
                    .map(|width| {
                        let vdevs = (disks - least_spares) / width;
                        Self {
                            kind: Kind::Raidz(2),
                            width,
                            vdevs,
                            spares: disks - vdevs * width,
                        }
                    })
                    .filter(|layout| layout.vdevs > 0)
                    .max_by_key(|layout| (layout.data_disks(), layout.vdevs))
            }
        }
    }

    /// Reads a shape: `mail`, `capacity`, or a kind (`mirror`, `raidz2`, `draid2:8d`) with, if wanted, `spares N`. `width` is
    /// the role's number of disks in a vdev.
    ///
    /// # Errors
    /// Says what does not fit, without naming the group.
    pub fn read(words: &str, width: usize, disks: usize) -> Result<Self, String> {
        let too_few = || format!("{disks} disks are too few for a pool with redundancy");
        let mut words_left = words.split_whitespace();
        let kind = match words_left.next() {
            Some("mail") => return Self::default_for(disks, Use::Mail).ok_or_else(too_few),
            Some("capacity") => return Self::default_for(disks, Use::Capacity).ok_or_else(too_few),
            Some(word) => kind(word).ok_or_else(|| {
                format!(
                    "vdev `{word}` is not one of `mirror`, `raidz1`, `raidz2`, `raidz3`, `draid2:8d`, `mail`, `capacity`"
                )
            })?,
            None => return Err("the vdev is empty".into()),
        };
        let spares = match (words_left.next(), words_left.next(), words_left.next()) {
            (None, ..) => 0,
            (Some("spares" | "spare"), Some(number), None) => number
                .parse()
                .map_err(|_| format!("`{number}` is not a number of spares"))?,
            _ => {
                return Err(format!(
                    "`{words}` is not a kind of vdev and `spares` with a number"
                ));
            }
        };
        Self {
            kind,
            width,
            vdevs: 0,
            spares,
        }
        .fit(disks)
    }

    fn fit(mut self, disks: usize) -> Result<Self, String> {
        if let Kind::Draid { parity, data } = self.kind {
            if data + parity + self.spares > disks {
                return Err(format!(
                    "dRAID of {data} data and {parity} parity with {} spares needs at least {} disks, it has {disks}",
                    self.spares,
                    data + parity + self.spares
                ));
            }
            (self.width, self.vdevs) = (disks, 1);
            return Ok(self);
        }
        let least = match self.kind {
            Kind::Raidz(parity) => parity + 1,
            _ => 2,
        };
        if self.width < least {
            return Err(format!(
                "a {} needs a width of at least {least}, it has {}",
                self.kind, self.width
            ));
        }
        let members = disks.saturating_sub(self.spares);
        if members == 0 || !members.is_multiple_of(self.width) {
            let left = if self.spares == 0 {
                String::new()
            } else {
                format!(" after {} spares", self.spares)
            };
            return Err(format!(
                "{members} disks{left} do not divide into {}s of {}",
                self.kind, self.width
            ));
        }
        self.vdevs = members / self.width;
        Ok(self)
    }

    /// So many members of one vdev may be lost.
    #[must_use]
    pub fn tolerates(&self) -> usize {
        match self.kind {
            Kind::Mirror => self.width - 1,
            Kind::Raidz(parity) | Kind::Draid { parity, .. } => parity,
        }
    }

    /// Disks' worth of data; for dRAID rounded down.
    #[must_use]
    pub fn data_disks(&self) -> usize {
        match self.kind {
            Kind::Mirror => self.vdevs,
            Kind::Raidz(parity) => self.vdevs * (self.width - parity),
            Kind::Draid { parity, data } => (self.width - self.spares) * data / (data + parity),
        }
    }

    /// The word `zpool create` wants for one vdev.
    #[must_use]
    pub fn word(&self) -> String {
        match self.kind {
            Kind::Draid { parity, data } => {
                format!("draid{parity}:{data}d:{}c:{}s", self.width, self.spares)
            }
            kind => kind.to_string(),
        }
    }

    /// Spares that are disks of their own.
    #[must_use]
    pub fn spare_disks(&self) -> usize {
        if matches!(self.kind, Kind::Draid { .. }) {
            0
        } else {
            self.spares
        }
    }

    /// One line for people; `size` is that of a member in bytes.
    #[must_use]
    pub fn sentence(&self, size: u64) -> String {
        let usable = match self.kind {
            Kind::Draid { parity, data } => {
                u128::from(size) * ((self.width - self.spares) * data) as u128
                    / (data + parity) as u128
            }
            _ => u128::from(size) * self.data_disks() as u128,
        };
        format!(
            "{self}, usable {} before overhead",
            decimal(u64::try_from(usable).unwrap_or(u64::MAX))
        )
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mirror => formatter.write_str("mirror"),
            Self::Raidz(parity) => write!(formatter, "raidz{parity}"),
            Self::Draid { parity, data } => write!(formatter, "draid{parity}:{data}d"),
        }
    }
}

impl fmt::Display for PoolLayout {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} x {} of {}",
            self.vdevs, self.kind, self.width
        )?;
        match (self.spares, self.kind) {
            (0, _) => Ok(()),
            (n, Kind::Draid { .. }) => write!(formatter, " with {n} distributed spares"),
            (1, _) => formatter.write_str(" and 1 spare"),
            (n, _) => write!(formatter, " and {n} spares"),
        }
    }
}

fn kind(word: &str) -> Option<Kind> {
    if let Some(rest) = word.strip_prefix("draid") {
        let (parity, data) = rest.split_once(':').unwrap_or((rest, "8d"));
        let parity = if parity.is_empty() {
            2
        } else {
            parity.parse().ok()?
        };
        let data: usize = data.strip_suffix('d')?.parse().ok()?;
        return ((1..=3).contains(&parity) && (1..=64).contains(&data))
            .then_some(Kind::Draid { parity, data });
    }
    match word {
        "mirror" => Some(Kind::Mirror),
        "raidz1" => Some(Kind::Raidz(1)),
        "raidz2" => Some(Kind::Raidz(2)),
        "raidz3" => Some(Kind::Raidz(3)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{PoolLayout, Use};

    #[test]
    fn defaults() {
        for (disks, mail, capacity) in [
            (5, "2 x mirror of 2 and 1 spare", "1 x raidz2 of 5"),
            (10, "5 x mirror of 2", "1 x raidz2 of 9 and 1 spare"),
            (
                15,
                "7 x mirror of 2 and 1 spare",
                "2 x raidz2 of 7 and 1 spare",
            ),
            (16, "8 x mirror of 2", "2 x raidz2 of 7 and 2 spares"),
            (
                20,
                "9 x mirror of 2 and 2 spares",
                "2 x raidz2 of 9 and 2 spares",
            ),
            (
                25,
                "12 x mirror of 2 and 1 spare",
                "2 x raidz2 of 12 and 1 spare",
            ),
            (
                36,
                "17 x mirror of 2 and 2 spares",
                "3 x raidz2 of 11 and 3 spares",
            ),
        ] {
            let text =
                |purpose| PoolLayout::default_for(disks, purpose).map(|layout| layout.to_string());
            assert_eq!(text(Use::Mail).as_deref(), Some(mail), "{disks}");
            assert_eq!(text(Use::Capacity).as_deref(), Some(capacity), "{disks}");
        }
        assert_eq!(PoolLayout::default_for(1, Use::Mail), None);
    }

    #[test]
    fn every_default_uses_every_disk() {
        for disks in 2..=90 {
            for purpose in [Use::Mail, Use::Capacity] {
                let layout = PoolLayout::default_for(disks, purpose).unwrap();
                assert_eq!(layout.vdevs * layout.width + layout.spares, disks);
                assert!(layout.vdevs >= 1 && layout.tolerates() >= 1);
            }
        }
    }

    #[test]
    fn words() {
        for (words, width, disks, want) in [
            (
                "raidz2",
                8,
                36,
                Err("36 disks do not divide into raidz2s of 8"),
            ),
            ("raidz2 spares 4", 8, 36, Ok("4 x raidz2 of 8 and 4 spares")),
            ("mail", 0, 36, Ok("17 x mirror of 2 and 2 spares")),
            ("mirror", 3, 6, Ok("2 x mirror of 3")),
            (
                "raidz3 spares two",
                8,
                36,
                Err("`two` is not a number of spares"),
            ),
            (
                "draid2:8d spares 2",
                0,
                36,
                Ok("1 x draid2:8d of 36 with 2 distributed spares"),
            ),
            (
                "draid3:40d",
                0,
                36,
                Err(
                    "dRAID of 40 data and 3 parity with 0 spares needs at least 43 disks, it has 36",
                ),
            ),
            (
                "mirror spares 2",
                2,
                2,
                Err("0 disks after 2 spares do not divide into mirrors of 2"),
            ),
            (
                "raidz2 twice",
                4,
                8,
                Err("`raidz2 twice` is not a kind of vdev and `spares` with a number"),
            ),
        ] {
            let got = PoolLayout::read(words, width, disks).map(|layout| layout.to_string());
            assert_eq!(got.as_deref().map_err(String::as_str), want, "{words}");
        }
        let draid = PoolLayout::read("draid2:8d spares 2", 0, 36).unwrap();
        assert_eq!(draid.word(), "draid2:8d:36c:2s");
    }
}
