//! `BloomFilter`, `BitsArray` and the bit positions of a consumer (`BloomFilterData`).

/// Parameters that make no filter; the text is Java's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct IllegalBloom(&'static str);

/// A Bloom filter for consumers: each one that wants a message sets its positions in the message's bit map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BloomFilter {
    hashes: usize,
    bits: usize,
}

impl BloomFilter {
    /// A filter for `consumers` consumers that wrongly finds at most `error_rate` of a hundred.
    ///
    /// # Errors
    /// [`IllegalBloom`] where a parameter is out of range.
    pub fn new(error_rate: i32, consumers: i32) -> Result<Self, IllegalBloom> {
        if !(1..100).contains(&error_rate) {
            return Err(IllegalBloom("f must be greater or equal than 1 and less than 100"));
        }
        if consumers < 1 {
            return Err(IllegalBloom("n must be greater than 0"));
        }
        let rate = f64::from(error_rate) / 100.0;
        let log = |base: f64, value: f64| value.ln() / base.ln();
        let hashes = log(0.5, rate).ceil() as i32;
        if hashes < 1 {
            return Err(IllegalBloom(
                "Hash function num is less than 1, maybe you should change the value of error rate or bit num!",
            ));
        }
        let bits =
            (f64::from(consumers) * log(2.0, 1.0 / rate) * log(2.0, std::f64::consts::E)).ceil() as i32;
        let bits = 8.0 * (f64::from(bits) / 8.0).ceil();
        Ok(Self { hashes: hashes as usize, bits: (bits as i32).max(8) as usize })
    }

    /// Length of a bit map in bits, a multiple of eight (`getM`).
    pub fn bits(&self) -> usize {
        self.bits
    }

    /// How many positions a consumer has (`getK`).
    pub fn hashes(&self) -> usize {
        self.hashes
    }

    /// The positions of `name`, which is `group#topic` (`calcBitPositions`).
    pub fn positions(&self, name: &str) -> Vec<i32> {
        let hash = murmur3::murmur3_x64_128(&mut name.as_bytes(), 0).unwrap_or_default() as u64;
        let (low, high) = (hash as i32, (hash >> 32) as i32);
        let position = |i: i32| {
            let combined = low.wrapping_add(i.wrapping_mul(high));
            let combined = if combined < 0 { !combined } else { combined };
            (combined as usize % self.bits) as i32
        };
        (1..=self.hashes as i32).map(position).collect()
    }

    /// Whether positions were made by a filter with these parameters (`isValid`).
    pub fn is_valid(&self, bits: i32, positions: &[i32]) -> bool {
        let inside = |position: &i32| usize::try_from(*position).is_ok_and(|position| position < self.bits);
        usize::try_from(bits) == Ok(self.bits)
            && positions.len() == self.hashes
            && positions.iter().all(inside)
    }
}

/// A bit map (`BitsArray`): bit 0 is the lowest of the first byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bits(Vec<u8>);

impl Bits {
    /// An empty map for a filter.
    pub fn of(filter: &BloomFilter) -> Self {
        Self(vec![0; filter.bits / 8])
    }

    /// Sets positions; those outside are left out.
    pub fn set(&mut self, positions: &[i32]) {
        for position in positions.iter().filter_map(|position| usize::try_from(*position).ok()) {
            if let Some(byte) = self.0.get_mut(position / 8) {
                *byte |= 1 << (position % 8);
            }
        }
    }

    /// The bytes.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// Whether all positions are set in a map (`isHit`).
    pub fn hit(map: &[u8], positions: &[i32]) -> bool {
        positions.iter().all(|position| {
            usize::try_from(*position)
                .ok()
                .and_then(|at| map.get(at / 8).map(|byte| byte >> (at % 8) & 1 == 1))
                .unwrap_or(false)
        })
    }
}

#[cfg(test)]
mod tests;
