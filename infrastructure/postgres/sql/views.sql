-- Tables of the read models, made in a schema of their own for each rebuild.
-- Times are microseconds since 1970 UTC. Everything here can be rebuilt from the log.

CREATE TABLE tracking (
    name text PRIMARY KEY,
    position bigint NOT NULL
);

CREATE TABLE parked_events (
    position bigint PRIMARY KEY,
    stream text NOT NULL,
    type text NOT NULL,
    error text NOT NULL,
    parked_us bigint NOT NULL
);

CREATE TABLE contacts (
    id text PRIMARY KEY,
    identifier text,
    name text,
    email text,
    verified boolean NOT NULL,
    created_us bigint NOT NULL,
    updated_us bigint NOT NULL,
    erased_us bigint,
    search tsvector NOT NULL
);
CREATE INDEX ON contacts (created_us DESC, id DESC);
CREATE INDEX ON contacts USING gin (search);

CREATE TABLE conversations (
    id text PRIMARY KEY,
    contact_id text NOT NULL,
    identity_verified boolean NOT NULL,
    status text NOT NULL,
    assignee_id text,
    priority text,
    labels text[] NOT NULL,
    snoozed_until_us bigint,
    last_seq integer NOT NULL,
    last_public_seq integer NOT NULL,
    created_us bigint NOT NULL,
    updated_us bigint NOT NULL,
    unread_count integer NOT NULL,
    agent_read_seq integer NOT NULL,
    visitor_read_seq integer NOT NULL,
    visitor_delivered_seq integer NOT NULL,
    legal_hold text,
    legal_hold_us bigint
);
CREATE INDEX ON conversations (updated_us DESC, id DESC);
CREATE INDEX ON conversations (contact_id);
-- The inbox of an agent, or of nobody: few of all conversations are not resolved.
CREATE INDEX ON conversations (assignee_id, updated_us DESC, id DESC) WHERE status <> 'resolved';
CREATE INDEX ON conversations (snoozed_until_us) WHERE status = 'snoozed';

CREATE TABLE messages (
    conversation_id text NOT NULL,
    seq integer NOT NULL,
    message_id text NOT NULL,
    author_kind text NOT NULL,
    author_id text NOT NULL,
    author_name text NOT NULL,
    content text NOT NULL,
    private boolean NOT NULL,
    created_us bigint NOT NULL,
    position bigint NOT NULL,
    edited_us bigint,
    recalled_us bigint,
    search tsvector NOT NULL,
    PRIMARY KEY (conversation_id, seq)
);
CREATE INDEX ON messages USING gin (search);

-- ANALYZE keeps samples of values, which would outlive an erased contact. No query filters by these.
ALTER TABLE messages ALTER content SET STATISTICS 0, ALTER author_name SET STATISTICS 0;
ALTER TABLE contacts ALTER identifier SET STATISTICS 0, ALTER name SET STATISTICS 0,
    ALTER email SET STATISTICS 0, ALTER search SET STATISTICS 0;
ALTER TABLE parked_events ALTER error SET STATISTICS 0;

CREATE TABLE agents (
    id text PRIMARY KEY,
    email text NOT NULL,
    name text NOT NULL,
    role text NOT NULL,
    active boolean NOT NULL,
    created_us bigint NOT NULL
);

CREATE TABLE api_keys (
    id text PRIMARY KEY,
    name text NOT NULL,
    scopes text[] NOT NULL,
    created_us bigint NOT NULL,
    revoked_us bigint
);

CREATE TABLE refunds (
    id text PRIMARY KEY,
    status text NOT NULL,
    conversation_id text NOT NULL,
    contact_id text NOT NULL,
    order_reference text NOT NULL,
    amount_minor bigint NOT NULL,
    currency text NOT NULL,
    reason text NOT NULL,
    lines jsonb NOT NULL,
    evidence text[] NOT NULL,
    requested_by text NOT NULL,
    decided_by text,
    rule text,
    rejection_code text,
    rejection_reason text,
    reference text,
    failure text,
    given_up text[] NOT NULL,
    created_us bigint NOT NULL,
    updated_us bigint NOT NULL,
    position bigint NOT NULL
);
CREATE INDEX ON refunds (created_us DESC, id DESC);
CREATE INDEX ON refunds (status, created_us DESC, id DESC);
CREATE INDEX ON refunds (conversation_id);
CREATE INDEX ON refunds (order_reference);
ALTER TABLE refunds ALTER reason SET STATISTICS 0, ALTER rejection_reason SET STATISTICS 0;

CREATE TABLE refund_policies (
    currency text PRIMARY KEY,
    automatic_up_to_minor bigint NOT NULL,
    four_eyes_above_minor bigint NOT NULL,
    agent_daily_minor bigint,
    updated_us bigint NOT NULL
);

-- `state` is what the saga's events fold to, as JSON; the other columns are derived from it, for
-- lists. It is text, because jsonb does not keep the order of calls, which the fold goes by.
CREATE TABLE sagas (
    id text PRIMARY KEY,
    definition text NOT NULL,
    status text NOT NULL,
    conversation_id text,
    next_timer_us bigint,
    started_us bigint NOT NULL,
    updated_us bigint NOT NULL,
    state text NOT NULL
);
CREATE INDEX ON sagas (started_us, id);
CREATE INDEX ON sagas (status, started_us, id);
CREATE INDEX ON sagas (conversation_id);
