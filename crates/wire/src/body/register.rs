//! The body of a registration, plain and compressed.

use super::{DataVersion, TopicConfig, TopicConfigAndMappingSerializeWrapper, TopicQueueMappingInfo};
use crate::json;
use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize};

/// What a broker registers with a name server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RegisterBrokerBody {
    pub filter_server_list: Vec<String>,
    pub topic_config_serialize_wrapper: TopicConfigAndMappingSerializeWrapper,
}

/// The ordinal of `V5_0_0`: from here on the compressed form ends with the logical queues.
const V5_0_0: i32 = 413;

/// What a compressed registration may inflate to, in bytes. A million topics need a tenth of it.
const MAX_INFLATED: u64 = 1 << 30;

/// The first byte of a zlib stream with Java's window size; no JSON text begins with it.
const ZLIB_MAGIC: u8 = 0x78;

impl RegisterBrokerBody {
    /// Reads a registration sent by a broker of `version` (an ordinal of `MQVersion`).
    ///
    /// Java 5 brokers with `compressedRegister` send the compressed form under a header that says it is not, so the
    /// first byte decides when `compressed` is false.
    pub fn decode(bytes: &[u8], compressed: bool, version: i32) -> Result<Self, json::JsonError> {
        if compressed || bytes.first() == Some(&ZLIB_MAGIC) {
            return Self::inflate(bytes, version).map_err(serde::de::Error::custom);
        }
        json::from_slice(bytes)
    }

    /// The registration as bytes. The compressed form, which leaves out the details of logical queues, is one zlib
    /// stream of: data version, topics as lines, filter servers, logical queues; each text behind its 32-bit length,
    /// each list behind its 32-bit count.
    pub fn encode(&self, compressed: bool) -> Vec<u8> {
        if !compressed {
            return json::to_vec(self);
        }
        let wrapper = &self.topic_config_serialize_wrapper;
        let mut plain = Vec::new();
        put_text(&mut plain, &json::to_string(&wrapper.data_version));
        put_count(&mut plain, wrapper.topic_config_table.len());
        for topic in wrapper.topic_config_table.values() {
            put_text(&mut plain, &topic.to_line());
        }
        put_text(&mut plain, &json::to_string(&self.filter_server_list));
        put_count(&mut plain, wrapper.topic_queue_mapping_info_map.len());
        for info in wrapper.topic_queue_mapping_info_map.values() {
            put_text(&mut plain, &json::to_string(info));
        }
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
        // Writing to a Vec cannot fail.
        let _ = encoder.write_all(&plain);
        encoder.finish().unwrap_or_default()
    }

    fn inflate(bytes: &[u8], version: i32) -> io::Result<Self> {
        let mut input = flate2::read::ZlibDecoder::new(bytes).take(MAX_INFLATED);
        let mut body = Self::default();
        let wrapper = &mut body.topic_config_serialize_wrapper;
        let data_version: DataVersion = read_json(&mut input)?;
        wrapper.data_version = data_version;
        for _ in 0..read_int(&mut input)? {
            let line = read_text(&mut input)?;
            let topic = TopicConfig::from_line(&line)
                .ok_or_else(|| io::Error::other("a topic line that cannot be read"))?;
            wrapper.topic_config_table.insert(topic.topic_name.clone(), topic);
        }
        let filter_servers = read_text(&mut input)?;
        body.filter_server_list = json::from_str(&filter_servers).unwrap_or_default();
        if version >= V5_0_0 {
            for _ in 0..read_int(&mut input)? {
                let info: TopicQueueMappingInfo = read_json(&mut input)?;
                wrapper.topic_queue_mapping_info_map.insert(info.topic.clone(), info);
            }
        }
        Ok(body)
    }
}

fn put_count(out: &mut Vec<u8>, count: usize) {
    out.extend_from_slice(&(count as u32).to_be_bytes());
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    put_count(out, text.len());
    out.extend_from_slice(text.as_bytes());
}

fn read_int(input: &mut impl Read) -> io::Result<i32> {
    let mut bytes = [0; 4];
    input.read_exact(&mut bytes)?;
    Ok(i32::from_be_bytes(bytes))
}

/// Reads a text behind its length. The buffer grows with what is there, not with what the length claims.
fn read_text(input: &mut impl Read) -> io::Result<String> {
    let len = u64::try_from(read_int(input)?).map_err(|_| io::Error::other("a negative length"))?;
    let mut bytes = Vec::new();
    let read = input.take(len).read_to_end(&mut bytes)?;
    if read as u64 != len {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn read_json<T: serde::de::DeserializeOwned>(input: &mut impl Read) -> io::Result<T> {
    json::from_str(&read_text(input)?).map_err(io::Error::other)
}
