-- Answers to requests that came with an Idempotency-Key, so that the same request sent again gets the same answer and
-- does nothing twice. Rows of a day; the answer is encrypted by the key, of which only the hash is here.
CREATE TABLE kept_answers (
    who TEXT NOT NULL,
    key_hash TEXT NOT NULL,
    -- Of method, address, version and body.
    request_hash TEXT NOT NULL,
    begun_at BIGINT NOT NULL,
    -- 0 until there is an answer; -1 where it is not known what became of it.
    status BIGINT NOT NULL,
    answer TEXT NOT NULL,
    PRIMARY KEY (who, key_hash)
);
CREATE INDEX kept_answers_begun_at ON kept_answers (begun_at);
