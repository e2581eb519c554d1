-- What verifies the archive: the keys that boards signed with, and of what was pruned the last signed frame.

-- +goose Up
create table gateway_keys (
  gateway text not null, key text not null, since_ms integer not null,
  primary key (gateway, key));
create table checkpoints (              -- spans are the pruned seqs, body the frame of them that reaches furthest
  gateway text not null, epoch text not null, lane integer not null, spans text not null, frames integer not null, last integer not null, body blob not null,
  primary key (gateway, epoch, lane));

-- +goose Down
drop table checkpoints;
drop table gateway_keys;
