// Package board reads what the kernel says about the board's own health: its supply, its temperature and its card.
//
// Look reads files below a root, "/" on a board. What isn't there is unknown and left out: most machines have only some
// of it. Nothing is written, and no serial number is read.
//
//	sys/class/hwmon/*/name = rpi_volt, in0_lcrit_alarm        the supply was too low since the last look (Raspberry Pi)
//	sys/devices/platform/soc/soc:firmware/get_throttled       bits 0 to 3 now, 16 to 19 since the start (Raspberry Pi kernels)
//	sys/class/thermal/thermal_zone0/temp                      thousandths of a degree
//	sys/block/mmcblk*/device/life_time, pre_eol_info          eMMC 5.0, JESD84-B50, EXT_CSD 267 to 269: wear in steps of
//	                                                          10 %, 0x0b past its end; reserve 1 normal, 2 warning, 3 urgent
//	sys/kernel/debug/mmc*/err_stats                           errors of the card's controller since the start, where readable
//	sys/fs/ext4/*/errors_count                                errors that the file system has met
//
// # Faults
//
//	under_voltage     the supply is too low: what is written may be lost, and the board may stop
//	card_worn         an eMMC of which 90 % of the writes, or 80 % of the reserve, are used
//	card_errors       the controller of the card counted errors since the last look; those of the first look are the start's
//	file_system_errors  the same of the file system, from the first one on
//
// A fault is told when it begins, and again after an hour while it lasts; one that ended is told when it comes back, but no
// more than once an hour.
package board
