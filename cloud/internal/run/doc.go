// Package run reads runs and their stops as counties have them: a CSV sheet, or a GTFS feed of the rural buses (S0-02).
//
// # CSV
//
// UTF-8 or GB18030, comma or semicolon; a header row names the columns, in any order:
//
//	run      班次  id of the run; rows of the same id are its stops
//	seq      序号  order of the stops; absent: as they stand
//	stop     站点  id or name of a site
//	arrive   到达  8:40 or 08:40:00; 24:00 and later is the next day
//	depart   发车
//	vehicle  车辆  id or plate, optional
//	name     名称  of the run, optional
//
// # GTFS
//
// A zip of a GTFS feed (gtfs.org, Schedule reference): stops.txt, trips.txt, stop_times.txt, and calendar.txt or calendar_dates.txt,
// which say which trips there are on the day. A stop is the site of the same id or code, or the nearest site
// within 600 m; stops at no site are passed over, and a trip that is left with fewer than two is no run.
//
// # Promises
//
//   - Good runs pass, a wrong row is told with its file, line and field, and its run left out.
//   - Bounded: 4 MiB, 64 MiB unpacked, 200,000 rows, 2,000 runs of 200 stops.
//
// It does not keep runs (room state), know frequencies.txt, or blocks.
package run
