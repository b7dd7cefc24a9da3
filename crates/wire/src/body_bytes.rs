//! The body of a command: the bytes after its header.

use bytes::{Bytes, BytesMut};

/// A body as a list of chunks, so that a pull reply can carry slices of mapped store files without copying them.
/// Nearly every body has no chunk or one, and neither needs an allocation.
#[derive(Clone, Debug, Default)]
pub struct Body(Chunks);

#[derive(Clone, Debug, Default)]
enum Chunks {
    #[default]
    Empty,
    One(Bytes),
    Many(Vec<Bytes>),
}

impl Body {
    /// A body of no bytes. On the wire this is the same as no body at all.
    pub const fn empty() -> Self {
        Self(Chunks::Empty)
    }

    /// The number of bytes of all chunks.
    pub fn len(&self) -> usize {
        self.chunks().iter().map(Bytes::len).sum()
    }

    /// True when there is not one byte.
    pub fn is_empty(&self) -> bool {
        self.chunks().iter().all(Bytes::is_empty)
    }

    /// The chunks in wire order.
    pub fn chunks(&self) -> &[Bytes] {
        match &self.0 {
            Chunks::Empty => &[],
            Chunks::One(chunk) => std::slice::from_ref(chunk),
            Chunks::Many(chunks) => chunks,
        }
    }

    /// The whole body in one piece; copies only when there are several chunks.
    pub fn to_bytes(&self) -> Bytes {
        match &self.0 {
            Chunks::Empty => Bytes::new(),
            Chunks::One(chunk) => chunk.clone(),
            Chunks::Many(chunks) => {
                let mut whole = BytesMut::with_capacity(self.len());
                for chunk in chunks {
                    whole.extend_from_slice(chunk);
                }
                whole.freeze()
            }
        }
    }
}

impl PartialEq for Body {
    /// Two bodies are equal when their bytes are, however they are cut into chunks.
    fn eq(&self, other: &Self) -> bool {
        self.to_bytes() == other.to_bytes()
    }
}

impl Eq for Body {}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        if bytes.is_empty() { Self::empty() } else { Self(Chunks::One(bytes)) }
    }
}

impl From<BytesMut> for Body {
    fn from(bytes: BytesMut) -> Self {
        bytes.freeze().into()
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        text.into_bytes().into()
    }
}

impl From<Vec<Bytes>> for Body {
    fn from(mut chunks: Vec<Bytes>) -> Self {
        match chunks.len() {
            0 => Self::empty(),
            1 => chunks.pop().map_or_else(Self::empty, Self::from),
            _ => Self(Chunks::Many(chunks)),
        }
    }
}
