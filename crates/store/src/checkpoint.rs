//! `checkpoint`: 4096 bytes, six big-endian numbers, the rest zero. Never says more than what is on disk.

use std::io;
use std::path::Path;

use parking_lot::Mutex;

use crate::fs::{Fs, StoreFile};

/// Length of the file, one page of the operating system.
const LEN: u64 = 4096;

/// The six fields, in file order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Fields {
    /// Store time of the last record that is on disk.
    pub(crate) physic_msg_timestamp: i64,
    /// Store time of the last record whose queue unit is on disk.
    pub(crate) logics_msg_timestamp: i64,
    /// Store time of the last record in an index file that is full and on disk.
    pub(crate) index_msg_timestamp: i64,
    /// Kept as found; replication owns it.
    pub(crate) master_flushed_offset: i64,
    /// Start of the last valid record that recovery found.
    pub(crate) confirm_phy_offset: i64,
    /// Start of the last record whose queue unit is on disk.
    pub(crate) logics_physical_offset: i64,
}

impl Fields {
    /// `StoreCheckpoint.getMinTimestamp`, as 4.9.7 and 5.3.3 use it to find where recovery starts.
    pub(crate) fn min_timestamp(&self) -> i64 {
        (self.physic_msg_timestamp.min(self.logics_msg_timestamp) - 3_000).max(0)
    }
}

#[derive(Debug)]
pub(crate) struct Checkpoint {
    file: StoreFile,
    fields: Mutex<Fields>,
}

impl Checkpoint {
    /// Opens or creates the file. A short one reads as zeros where it ends.
    pub(crate) fn open(fs: &Fs, path: &Path) -> io::Result<Self> {
        let file = fs.open_or_create(path, LEN)?;
        let mut bytes = [0; 48];
        file.read_exact_at(&mut bytes, 0)?;
        let mut numbers = [0; 6];
        for (number, bytes) in numbers.iter_mut().zip(bytes.as_chunks().0) {
            *number = i64::from_be_bytes(*bytes);
        }
        let [physic, logics, index, master, confirm, logics_offset] = numbers;
        let fields = Fields {
            physic_msg_timestamp: physic,
            logics_msg_timestamp: logics,
            index_msg_timestamp: index,
            master_flushed_offset: master,
            confirm_phy_offset: confirm,
            logics_physical_offset: logics_offset,
        };
        Ok(Self { file, fields: Mutex::new(fields) })
    }

    pub(crate) fn get(&self) -> Fields {
        *self.fields.lock()
    }

    /// Changes fields and makes them durable.
    pub(crate) fn update(&self, change: impl FnOnce(&mut Fields)) -> io::Result<()> {
        let mut fields = self.fields.lock();
        change(&mut fields);
        let mut bytes = [0; 48];
        let numbers = [
            fields.physic_msg_timestamp,
            fields.logics_msg_timestamp,
            fields.index_msg_timestamp,
            fields.master_flushed_offset,
            fields.confirm_phy_offset,
            fields.logics_physical_offset,
        ];
        for (bytes, number) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(numbers) {
            *bytes = number.to_be_bytes();
        }
        self.file.write_all_at(&bytes, 0)?;
        self.file.sync_data()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn six_big_endian_numbers_in_one_page() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("checkpoint");
        let checkpoint = Checkpoint::open(&Fs::default(), &path).unwrap();
        assert_eq!(checkpoint.get(), Fields::default());
        let fields = Fields {
            physic_msg_timestamp: 5_000,
            logics_msg_timestamp: 4_000,
            index_msg_timestamp: 3,
            master_flushed_offset: 4,
            confirm_phy_offset: 5,
            logics_physical_offset: 0x0102,
        };
        checkpoint.update(|it| *it = fields).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(bytes.len(), 4096);
        assert_eq!(bytes[40..48], [0, 0, 0, 0, 0, 0, 1, 2]);
        assert_eq!(Checkpoint::open(&Fs::default(), &path).unwrap().get(), fields);
        assert_eq!(fields.min_timestamp(), 1_000);
        std::fs::write(&path, [0, 0, 0, 0, 0, 0, 0, 9]).unwrap();
        assert_eq!(Checkpoint::open(&Fs::default(), &path).unwrap().get().physic_msg_timestamp, 9);
    }
}
