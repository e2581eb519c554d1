-- What verifies the archive: the keys that boards signed with, and of what was pruned the last signed frame.

-- +goose Up
create table gateway_keys (
  gateway text collate "C" not null, key text collate "C" not null, since_ms bigint not null,
  primary key (gateway, key));
create table checkpoints (              -- spans are the pruned seqs, body the frame of them that reaches furthest
  gateway text collate "C" not null, epoch text collate "C" not null, lane bigint not null, spans text collate "C" not null, frames bigint not null, last bigint not null, body bytea not null,
  primary key (gateway, epoch, lane));

-- +goose Down
drop table checkpoints;
drop table gateway_keys;
