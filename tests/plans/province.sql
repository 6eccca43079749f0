-- A province after half a year: 10,000 clusters with a device each, 600,000 plays in eight
-- monthly partitions, a week of heartbeats. Newest day: 2025-07-01, 08:00 in the province.
SET LOCAL session_replication_role = replica;  -- rows made together need no foreign key checked

INSERT INTO areas (code, level, kind, name, valid_from)
VALUES ('51', 'province', 'tỉnh', '51', '2020-01-01');
INSERT INTO areas (code, level, kind, name, parent_code, valid_from)
SELECT 'C' || n, 'commune', 'xã', 'C' || n, '51', '2020-01-01'::date FROM generate_series(1, 100) AS n
UNION ALL
SELECT 'V' || n, 'village', 'thôn', 'V' || n, 'C' || (1 + n % 100), '2020-01-01'::date
FROM generate_series(1, 5000) AS n;

INSERT INTO clusters (id, code, name, plant_id, horns_count, evidence, installed_on)
OVERRIDING SYSTEM VALUE
SELECT n, 'K-' || n, 'K-' || n, 1, 1, 'telemetry', '2024-01-01' FROM generate_series(1, 10000) AS n;
INSERT INTO cluster_villages (cluster_id, village_code, valid_from, grade)
SELECT n, 'V' || (1 + n % 5000), '2024-01-01', 'primary' FROM generate_series(1, 10000) AS n;
INSERT INTO devices (id, code, model, serial, codecs, volume, alert_volume, enrolled_at)
OVERRIDING SYSTEM VALUE
SELECT n, 'D-' || n, '', '', '{opus}', 70, 100, '2024-01-01' FROM generate_series(1, 10000) AS n;
INSERT INTO installations (device_id, installed_at, cluster_id)
SELECT n, '2024-01-01', n FROM generate_series(1, 10000) AS n;
INSERT INTO outages (kind, cluster_id, starts_at, ends_at, document, declared_by)
SELECT 'power_cut', n, '2025-05-01'::timestamptz + n * interval '1 hour',
       '2025-05-01'::timestamptz + (n + 2) * interval '1 hour', '', 1000001
FROM generate_series(1, 1000) AS n;

INSERT INTO device_presence (device_id, presence, since, session, seq, gone, last_seen_at,
                             silent_after, clock_wrong, held, mains, operator)
SELECT n, CASE WHEN n % 50 = 0 THEN 'silent' ELSE 'online' END, '2025-06-01', 1000, 1, false,
       '2025-07-01T00:59:30Z', '2025-07-01T01:02:00Z', false,
       '{"area/51/programme": 1751331600000, "area/C1/programme": 1751331600000}',
       true, 'Viettel'
FROM generate_series(1, 10000) AS n;
INSERT INTO presence_changes (device_id, presence, happened_at, recorded_at, cause)
SELECT 1 + n % 10000, CASE WHEN n % 2 = 0 THEN 'online' ELSE 'silent' END,
       '2025-01-01'::timestamptz + n * interval '1 minute', now(), 'x'
FROM generate_series(1, 200000) AS n;
INSERT INTO listening_spans (worker, workers, started_at, until)
SELECT 1, 1, '2025-01-01'::timestamptz + n * interval '1 hour',
       '2025-01-01'::timestamptz + n * interval '1 hour' + interval '50 minutes'
FROM generate_series(1, 4000) AS n;
INSERT INTO boots (device_id, session, sent_at, received_at, reason, body)
SELECT 1 + n % 10000, n, '2025-01-01', '2025-01-01'::timestamptz + n * interval '2 minutes',
       'reconnect', '{}'
FROM generate_series(1, 120000) AS n;
INSERT INTO receipts (device_id, document, revision, received_at)
SELECT 1 + n % 10000, 'area/C' || (n % 10000) % 100 || '/programme', 1751331600000 - n / 10000,
       '2025-06-01'
FROM generate_series(1, 300000) AS n;
INSERT INTO faults (device_id, kind, opened_at, closed_at, detail)
SELECT 1 + n % 10000, 'hot', '2025-01-01'::timestamptz + n * interval '4 minutes',
       '2025-01-01'::timestamptz + (n + 5) * interval '4 minutes', ''
FROM generate_series(1, 60000) AS n;
INSERT INTO refusals (device_id, topic, reason, detail, sent_at, received_at)
SELECT 1 + n % 10000, 'area/51/state/programme', 'revision', '',
       '2025-01-01'::timestamptz + n * interval '4 minutes',
       '2025-01-01'::timestamptz + n * interval '4 minutes'
FROM generate_series(1, 60000) AS n;
INSERT INTO command_results (device_id, command_id, result, detail, sent_at, received_at, kind,
                             heard)
SELECT 1 + n % 10000, 'c' || n, 'done', '', '2025-06-01'::timestamptz + n * interval '1 minute',
       '2025-06-01', CASE WHEN n % 3 = 0 THEN 'self_test' ELSE '' END, 'amplifier'
FROM generate_series(1, 60000) AS n;
INSERT INTO dead_letters (received_at, topic, device_code, size_bytes, payload, field, reason)
SELECT '2025-06-01'::timestamptz + n * interval '10 seconds', 't', 'D-' || (1 + n % 97), 9, 'x',
       '$', 'r'
FROM generate_series(1, 100000) AS n;

INSERT INTO heartbeats (received_on, device_id, session, seq, sent_at, received_at, body)
SELECT day, device, 1000, 1 + n, day, day, '{"volume": 70}'
FROM generate_series('2025-06-25'::date, '2025-07-01'::date, '1 day') AS day,
     generate_series(1, 10000) AS device, generate_series(1, 3) AS n;
INSERT INTO online_minutes (device_id, day, minutes)
SELECT device, day, (B'1')::bit(1440)
FROM generate_series('2025-06-20'::date, '2025-07-01'::date, '1 day') AS day,
     generate_series(1, 10000) AS device;

INSERT INTO bulletins (id, title, class, language, area_code, created_by, created_at)
SELECT md5('b' || n)::uuid, 'B', 'normal', 'vi', '51', 1000001, '2025-01-01'
FROM generate_series(1, 10000) AS n;
INSERT INTO bulletin_revisions (bulletin_id, number, state, source_kind, source_name, seconds,
                                loudness_lufs, true_peak_dbtp, facts, created_by, created_at)
SELECT md5('b' || n)::uuid, 1, 'approved', 'upload', '', 120, -16, -1.5, '{}', 1000001,
       '2025-01-01'
FROM generate_series(1, 10000) AS n;
INSERT INTO schedules (id, bulletin_id, bulletin_revision, title, starts_at, targets, targets_on,
                       priority, late_limit_seconds, on_preempt, state, created_by, created_at,
                       changed_at)
SELECT md5('s' || n)::uuid, md5('b' || n)::uuid, 1, 'B', '2025-01-01', '[]', '2025-01-01', 100, 60,
       'resume', 'active', 1000001, '2025-01-01', '2025-01-01'
FROM generate_series(1, 10000) AS n;
INSERT INTO occurrences (id, schedule_id, recurrence_at, starts_at, ends_by, bulletin_id,
                         bulletin_revision, class, priority, late_limit_seconds, on_preempt, title,
                         state, scopes, carried_scopes, reach, dirty)
SELECT md5('o' || n)::uuid, md5('s' || (1 + n % 10000))::uuid, at, at, at + interval '5 minutes',
       md5('b' || (1 + n % 10000))::uuid, 1, 'normal', 100, 60, 'resume', 'B', 'planned',
       ARRAY['area/C' || (1 + n % 100)], '{}', '', false
FROM (SELECT n, '2025-07-09T01:00:00Z'::timestamptz - n * interval '3 minutes' AS at
      FROM generate_series(1, 90000) AS n) AS n;
INSERT INTO plays (occurrence_id, cluster_id, month, starts_at, ends_by, state, reason,
                   played_seconds, fresh_starts, evidence, settled_at, restated)
SELECT o.id, cluster_id, date_trunc('month', o.recurrence_at AT TIME ZONE 'Asia/Ho_Chi_Minh'),
       o.starts_at, o.ends_by,
       CASE WHEN o.ends_by < '2025-07-01T00:30:00Z' THEN 'played' ELSE 'planned' END, '', 0, 0,
       'none', NULL, 0
FROM (SELECT *, row_number() OVER (ORDER BY starts_at) AS n FROM occurrences) AS o,
     LATERAL (SELECT 1 + (o.n * 7 + c * 1500) % 10000 AS cluster_id
              FROM generate_series(0, 6) AS c) AS c;
INSERT INTO journal_records (device_id, journal_id, seq, occurrence_id, cluster_id, event, at,
                             received_at, body)
SELECT cluster_id, 'j', row_number() OVER (PARTITION BY cluster_id ORDER BY starts_at),
       occurrence_id::text, cluster_id, 'ended', starts_at, starts_at,
       '{"reason": "completed", "played_seconds": 120.0}'
FROM plays WHERE state = 'played' AND starts_at > '2025-02-01';
INSERT INTO journals (device_id, journal_id, stored_upto)
SELECT device_id, journal_id, max(seq) FROM journal_records GROUP BY device_id, journal_id;
INSERT INTO play_changes (occurrence_id, cluster_id, changed_at, old_state, old_reason, new_state,
                          new_reason, cause)
SELECT occurrence_id, cluster_id, starts_at, 'missed', 'offline', 'played', '', 'report'
FROM plays WHERE state = 'played' AND cluster_id % 7 = 0;
INSERT INTO readiness (occurrence_id, device_id, bulletin_revision, state, sent_at, received_at)
SELECT occurrence_id, cluster_id, 1, 'ready', starts_at, starts_at
FROM plays WHERE starts_at > '2025-05-01';
INSERT INTO programme_revisions (scope, revision, issued_at, published_at, occurrence_ids)
SELECT o.scopes[1], 1751331600000 - o.n, o.starts_at - interval '1 day',
       o.starts_at - interval '1 day', ARRAY[o.id]
FROM (SELECT *, row_number() OVER (ORDER BY starts_at DESC) AS n FROM occurrences) AS o;
INSERT INTO documents (scope, kind, revision, token, issued_at, not_after, published_revision,
                       published_at)
SELECT 'device/D-' || n, 'config', 1751331600000, 'a.eyJhcmVhcyI6W119.c', '2025-06-01', '2025-08-01',
       1751331600000, '2025-06-01'::timestamptz + n * interval '1 minute'
FROM generate_series(1, 10000) AS n;
