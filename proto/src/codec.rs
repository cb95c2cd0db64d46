//! How the feed's messages stand in memory on their way through gRPC.
//!
//! Most are a hundred bytes, and a feeder has thousands of streams: tonic's own buffers, 8 KiB for each direction of each,
//! would be most of what a stream takes.

use std::marker::PhantomData;

use prost::Message;
use tonic::codec::{BufferSettings, Codec};
use tonic_prost::ProstCodec;

/// Bytes that a buffer begins with; it grows with the message.
const FIRST: usize = 512;
/// Bytes of encoded messages that are handed on together.
const TOGETHER: usize = 16 << 10;

/// Prost's codec, with small buffers.
#[derive(Debug)]
pub struct SmallBuffers<Out, In>(PhantomData<(Out, In)>);

impl<Out, In> Default for SmallBuffers<Out, In> {
    fn default() -> Self {
        SmallBuffers(PhantomData)
    }
}

impl<Out: Message + 'static, In: Message + Default + 'static> Codec for SmallBuffers<Out, In> {
    type Encode = Out;
    type Decode = In;
    type Encoder = <ProstCodec<Out, In> as Codec>::Encoder;
    type Decoder = <ProstCodec<Out, In> as Codec>::Decoder;

    fn encoder(&mut self) -> Self::Encoder {
        ProstCodec::<Out, In>::raw_encoder(BufferSettings::new(FIRST, TOGETHER))
    }

    fn decoder(&mut self) -> Self::Decoder {
        ProstCodec::<Out, In>::raw_decoder(BufferSettings::new(FIRST, TOGETHER))
    }
}
