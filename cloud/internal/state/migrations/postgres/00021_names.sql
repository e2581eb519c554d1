-- What parcels are looked up by has a table of its own, so that a step of a parcel is written to few indexes.

-- +goose Up
create table names (                    -- kind: epc, phone (its keyed hash), waybill_end and epc_end (reversed)
  kind text collate "C" not null, name text collate "C" not null, waybill text collate "C" not null,
  primary key (kind, name, waybill));
insert into names (kind, name, waybill) select 'epc', epc, waybill from parcels where epc <> '';
insert into names (kind, name, waybill) select 'phone', phone_hash, waybill from parcels where phone_hash <> '';
insert into names (kind, name, waybill) select 'waybill_end', waybill_rev, waybill from parcels where waybill_rev <> '';
insert into names (kind, name, waybill) select 'epc_end', epc_rev, waybill from parcels where epc_rev <> '';
drop index parcels_epc;
drop index parcels_epc_rev;
drop index parcels_waybill_rev;
drop index parcels_phone;
drop index parcels_order;
alter table parcels drop column waybill_rev;
alter table parcels drop column epc_rev;

-- +goose Down
create index names_waybill on names (waybill, kind);
alter table parcels add column waybill_rev text collate "C" not null default '';
alter table parcels add column epc_rev text collate "C" not null default '';
update parcels set waybill_rev = coalesce((select name from names n where n.waybill = parcels.waybill and kind = 'waybill_end'), ''),
  epc_rev = coalesce((select name from names n where n.waybill = parcels.waybill and kind = 'epc_end'), '');
create index parcels_epc on parcels (epc) where epc <> '';
create index parcels_epc_rev on parcels (epc_rev) where epc_rev <> '';
create index parcels_waybill_rev on parcels (waybill_rev);
create index parcels_phone on parcels (phone_hash) where phone_hash <> '';
create index parcels_order on parcels (order_no) where order_no <> '';
drop table names;
