// Command draw makes the demo county: a fictional county, 云岭县, with terrain, rivers, townships,
// villages, roads, sites and the boards that stand there.
//
//	go run ./configs/county/draw -o configs/county
//
// It writes county.yaml (sites, vehicles, lockers, gateways, bindings), map.geojson (the
// console's base map) and roads.json (the graph that vans drive on). The drawing follows from
// the seed alone: a test keeps the committed files equal to what this program draws. To change
// the county, change the program and run it; nobody edits the files by hand.
//
// The order is that of the land: rivers first; heights rise from the rivers; towns stand on the
// rivers; roads take the cheapest way over the heights, so they follow the valleys; villages
// join the road that is cheapest to reach. Lengths are kilometres east and north of the
// county's middle until they are written as WGS-84 degrees. Only arithmetic that is the same on
// every machine with IEEE 754 doubles is used (no Exp, no Pow).
//
// It promises nothing about real places: every name and line is invented.
package main
