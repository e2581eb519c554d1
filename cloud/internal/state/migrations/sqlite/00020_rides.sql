-- From when until when it matters to a parcel where a vehicle was, so that a change of that, however late, finds its parcels.

-- +goose Up
create table rides (
  waybill text not null, vehicle text not null, first_ms integer not null, until_ms integer not null,
  primary key (waybill, vehicle));
create index rides_vehicle on rides (vehicle, until_ms);
insert into rides (waybill, vehicle, first_ms, until_ms)  -- for a month; the next fold knows better
  select waybill, substr(thing, 9), min(at_ms), min(at_ms) + 2592000000 from (
    select p.waybill, e.thing, e.at_ms from evidence e join parcels p on p.epc <> '' and e.subject = 'epc/' || p.epc where e.thing >= 'vehicle/' and e.thing < 'vehicle0'
    union all select p.waybill, e.thing, e.at_ms from evidence e join parcels p on e.subject = 'parcel/' || p.waybill where e.thing >= 'vehicle/' and e.thing < 'vehicle0'
    union all select p.waybill, e.thing, e.at_ms from evidence e join containers b on b.epc <> '' and e.subject = 'epc/' || b.epc
      join contents c on c.container = b.id join parcels p on p.waybill = c.item where e.thing >= 'vehicle/' and e.thing < 'vehicle0') as seen
  group by waybill, thing;

-- +goose Down
drop table rides;
