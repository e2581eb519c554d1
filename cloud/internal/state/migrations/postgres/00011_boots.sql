-- When a gateway's boots were, so that records of a boot without any clock are dated between those before and after it.

-- +goose Up
create table boots (                    -- start_ms is when it began at the latest, last_ms when it surely still ran
  gateway text collate "C" not null, boot text collate "C" not null, start_ms bigint not null, last_ms bigint not null,
  primary key (gateway, boot));
alter table openings add column boot text collate "C" not null default '';
alter table evidence add column te_ms bigint not null default 0;

-- +goose Down
alter table evidence drop column te_ms;
alter table openings drop column boot;
drop table boots;
