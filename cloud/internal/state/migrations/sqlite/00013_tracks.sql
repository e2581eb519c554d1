-- Where vehicles were and whether boxes were out of their limits, moment by moment, so that what comes late finds its place.

-- +goose Up
create table tracks (                   -- traces of 10 minutes each that are over; the last one is in the row of its thing
  thing text not null, span integer not null, trace text not null,
  primary key (thing, span));
create index tracks_span on tracks (span);
alter table vehicles add column since_ms integer not null default 0;  -- what is from before moves no stay
alter table vehicles add column trace text not null default '';
alter table cold_boxes add column since_ms integer not null default 0;
alter table cold_boxes add column in_ms integer not null default 0;   -- when it was within its limits last
alter table cold_boxes add column trace text not null default '';
update vehicles set since_ms = stay_to, trace = cast(stay_to as text) || '=' || stay_site where stay_from > 0;
update cold_boxes set since_ms = at_ms, in_ms = case when is_out = 0 then at_ms else 0 end,
  trace = case when is_out = 0 then cast(at_ms as text) || '=in' else cast(out_ms as text) || '=out' end where climate <> '';

-- +goose Down
alter table cold_boxes drop column trace;
alter table cold_boxes drop column in_ms;
alter table cold_boxes drop column since_ms;
alter table vehicles drop column trace;
alter table vehicles drop column since_ms;
drop table tracks;
