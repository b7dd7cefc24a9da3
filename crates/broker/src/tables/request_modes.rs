//! How groups get the messages of topics where an administrator has said so, in `config/messageRequestMode.json`
//! (`MessageRequestModeManager`).

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Mutex, RwLock};
use raptormq_wire::body::{MessageRequestModeSerializeWrapper, SetMessageRequestModeRequestBody};

use super::{blocking, persist};

/// All modes that were set.
pub struct RequestModeTable {
    path: PathBuf,
    modes: RwLock<MessageRequestModeSerializeWrapper>,
    saving: Mutex<()>,
    /// The last write of the file failed.
    unsaved: AtomicBool,
}

impl RequestModeTable {
    /// Loads the table. The file is written when a mode is set, and not before.
    ///
    /// # Errors
    /// When the file exists and cannot be read.
    pub fn load(path: PathBuf) -> Result<Self, persist::LoadError> {
        let modes = persist::load(&path)?.unwrap_or_default();
        Ok(Self { path, modes: RwLock::new(modes), saving: Mutex::new(()), unsaved: AtomicBool::new(false) })
    }

    /// What was set for a group and topic.
    pub fn get(&self, topic: &str, group: &str) -> Option<SetMessageRequestModeRequestBody> {
        self.modes.read().message_request_mode_map.get(topic)?.get(group).cloned()
    }

    /// Sets the mode of the group and topic that `mode` names, and persists the table.
    pub fn set(&self, mode: SetMessageRequestModeRequestBody) {
        {
            let mut modes = self.modes.write();
            let groups = modes.message_request_mode_map.entry(mode.topic.clone()).or_default();
            groups.insert(mode.consumer_group.clone(), mode);
        }
        self.save();
    }

    /// The table as slaves receive it.
    pub fn wrapper(&self) -> MessageRequestModeSerializeWrapper {
        self.modes.read().clone()
    }

    fn save(&self) -> bool {
        let saved = blocking(|| {
            let _one_at_a_time = self.saving.lock();
            persist::save(&self.path, &self.wrapper())
        });
        if let Err(error) = &saved {
            tracing::error!(file = %self.path.display(), %error, "message request modes are not persisted");
        }
        self.unsaved.store(saved.is_err(), Ordering::SeqCst);
        saved.is_ok()
    }

    /// Writes the file if the last time failed.
    pub fn save_again(&self) {
        if self.unsaved.load(Ordering::SeqCst) && self.save() {
            tracing::info!(file = %self.path.display(), "message request modes are persisted again");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use raptormq_wire::body::MessageRequestMode;

    #[test]
    fn modes_survive_a_restart_in_javas_text() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("messageRequestMode.json");
        let table = RequestModeTable::load(path.clone()).unwrap();
        assert!(!path.exists() && table.get("T", "G").is_none());
        let mode = SetMessageRequestModeRequestBody {
            topic: "T".into(),
            consumer_group: "G".into(),
            mode: MessageRequestMode::Pull,
            pop_share_queue_num: 3,
        };
        table.set(mode.clone());
        let text = std::fs::read_to_string(&path).unwrap();
        let java = "{\n\t\"messageRequestModeMap\":{\n\t\t\"T\":{\n\t\t\t\"G\":{\n\t\t\t\t\"consumerGroup\":\"G\",\n\t\t\t\t\"mode\":\"PULL\",\n\t\t\t\t\"popShareQueueNum\":3,\n\t\t\t\t\"topic\":\"T\"\n\t\t\t}\n\t\t}\n\t}\n}";
        assert_eq!(text, java);
        let again = RequestModeTable::load(path).unwrap();
        assert_eq!((again.get("T", "G"), again.get("T", "H")), (Some(mode), None));
    }
}
