//! A topic's id: another one each time that a topic is made.
//!
//! Offsets of a topic that was deleted and made anew begin again at zero. Held against what is stored of the old one, its
//! records would be taken for known ones; the id tells them apart. librdkafka has it; its Rust binding does not
//! hand it on.

use std::ffi::{CStr, CString, c_char, c_int};
use std::ptr;
use std::time::Duration;

use rdkafka::bindings as native;
use rdkafka::client::{Client, ClientContext};

/// Frees what librdkafka gave.
struct Freed<T>(*mut T, unsafe extern "C" fn(*mut T));

impl<T> Drop for Freed<T> {
    fn drop(&mut self) {
        // SAFETY: each is made below with the destructor of its kind, and dropped once.
        unsafe { (self.1)(self.0) }
    }
}

/// Asks the brokers for the id of a topic, for as long as `patience`; none where they give topics no ids.
///
/// # Errors
/// In librdkafka's words, when nobody answers or the topic is not there.
pub(super) fn topic_id<C: ClientContext>(
    client: &Client<C>,
    topic: &str,
    patience: Duration,
) -> Result<Option<String>, String> {
    let name = CString::new(topic).map_err(|error| error.to_string())?;
    let patience_ms = c_int::try_from(patience.as_millis()).unwrap_or(c_int::MAX);
    let handle = client.native_ptr();
    // SAFETY: `handle` lives as long as `client`, which is borrowed; the name outlives the call that copies it; all that
    // is made here is freed when this returns, and nothing that points into it is returned.
    unsafe {
        let queue = Freed(
            native::rd_kafka_queue_new(handle),
            native::rd_kafka_queue_destroy,
        );
        let options = Freed(
            native::rd_kafka_AdminOptions_new(
                handle,
                native::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS,
            ),
            native::rd_kafka_AdminOptions_destroy,
        );
        // A refused time limit leaves librdkafka's own: the wait below is bounded all the same.
        native::rd_kafka_AdminOptions_set_request_timeout(
            options.0,
            patience_ms,
            ptr::null_mut(),
            0,
        );
        let mut names = [name.as_ptr()];
        let topics = Freed(
            native::rd_kafka_TopicCollection_of_topic_names(names.as_mut_ptr(), names.len()),
            native::rd_kafka_TopicCollection_destroy,
        );
        native::rd_kafka_DescribeTopics(handle, topics.0, options.0, queue.0);
        let event = native::rd_kafka_queue_poll(queue.0, patience_ms);
        if event.is_null() {
            return Err("the brokers do not answer".to_owned());
        }
        let event = Freed(event, native::rd_kafka_event_destroy);
        let result = native::rd_kafka_event_DescribeTopics_result(event.0);
        if result.is_null() {
            return Err(words(native::rd_kafka_event_error_string(event.0)));
        }
        let mut count = 0;
        let described = native::rd_kafka_DescribeTopics_result_topics(result, &raw mut count);
        if described.is_null() || count == 0 {
            return Err(words(native::rd_kafka_event_error_string(event.0)));
        }
        let topic = *described;
        let error = native::rd_kafka_TopicDescription_error(topic);
        if !error.is_null()
            && native::rd_kafka_error_code(error)
                != native::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR
        {
            return Err(words(native::rd_kafka_error_string(error)));
        }
        let id = native::rd_kafka_TopicDescription_topic_id(topic);
        if id.is_null() || native::rd_kafka_Uuid_most_significant_bits(id) == 0 {
            return Ok(None);
        }
        Ok(Some(words(native::rd_kafka_Uuid_base64str(id))))
    }
}

/// A text of librdkafka's.
///
/// # Safety
/// `text` is null, or ends with a zero byte and lives until this returns.
unsafe fn words(text: *const c_char) -> String {
    if text.is_null() {
        return "no reason is given".to_owned();
    }
    // SAFETY: as this function's own.
    unsafe { CStr::from_ptr(text) }
        .to_string_lossy()
        .into_owned()
}
