-- Scans and cells are looked for apart; what a shut door's board states of its cell is a step of its own.

-- +goose Up
create index evidence_scans on evidence (gateway, at_ms) where kind = 'scan';
create index evidence_cells on evidence (gateway, at_ms) where kind = 'locker';
drop index evidence_gateway;
update evidence set step = 'closed_full' where kind = 'locker' and step = 'closed' and body like '%"occupied":true%';
update evidence set step = 'closed_empty' where kind = 'locker' and step = 'closed' and body like '%"occupied":false%';

-- +goose Down
update evidence set step = 'closed' where step in ('closed_full', 'closed_empty');
create index evidence_gateway on evidence (gateway, at_ms) where kind in ('scan', 'locker');
drop index evidence_cells;
drop index evidence_scans;
