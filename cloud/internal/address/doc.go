// Package address finds the outlet that an address belongs to, by the county's place table (S2-16): the villages and
// townships of the outlets, and the places that county.yaml names besides, each in Chinese and in letters.
//
// The longest name that the address contains decides; a village's goes before a township's of the same length. A Chinese
// name also counts without its 村, 镇, 乡 or 街道, as the shorter name that it is then; one in letters counts as whole words, in
// any case, with or without spaces, hyphens and apostrophes (Qing shi, qing-shi), and without Village or Town. What names
// two outlets alike names none: a person decides.
//
// It does not: correct spelling, know streets, or keep anything of an address.
package address
