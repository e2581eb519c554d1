package board_test

import (
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/devices/telemetry"
	"yizhan/gateway/internal/board"
)

func tree(files map[string]string) fstest.MapFS {
	m := fstest.MapFS{}
	for name, text := range files {
		m[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return m
}

func codes(as []telemetry.Alarm) string {
	var out []string
	for _, a := range as {
		out = append(out, a.Code+" "+string(a.Severity))
	}
	return strings.Join(out, ", ")
}

func TestLook(t *testing.T) {
	const stats = "# Command Timeout Occurred:\t 2\n# Command CRC Errors Occurred:\t 0\n# Tuning Error Occurred:\t 1\n"
	for _, row := range []struct {
		name   string
		files  map[string]string
		gauges map[string]float64
		faults string
	}{
		{"nothing is known", nil, map[string]float64{}, ""},
		{"a healthy Pi", map[string]string{
			"sys/class/hwmon/hwmon0/name": "cpu_thermal\n", "sys/class/hwmon/hwmon1/name": "rpi_volt\n", "sys/class/hwmon/hwmon1/in0_lcrit_alarm": "0\n",
			"sys/class/thermal/thermal_zone0/temp": "48312\n", "sys/kernel/debug/mmc0/err_stats": stats, "sys/fs/ext4/mmcblk0p2/errors_count": "0\n",
		}, map[string]float64{"under_voltage": 0, "cpu_temp_c": 48.312, "card_errors": 3, "file_system_errors": 0}, ""},
		{"a thin cable", map[string]string{"sys/class/hwmon/hwmon1/name": "rpi_volt", "sys/class/hwmon/hwmon1/in0_lcrit_alarm": "1"},
			map[string]float64{"under_voltage": 1}, "under_voltage major"},
		{"the firmware says so", map[string]string{"sys/devices/platform/soc/soc:firmware/get_throttled": "50005\n"},
			map[string]float64{"under_voltage": 1, "throttled": 1}, "under_voltage major"},
		{"it was low once", map[string]string{"sys/devices/platform/soc/soc:firmware/get_throttled": "0x50000"},
			map[string]float64{"under_voltage": 0, "throttled": 0}, ""},
		{"another sensor's alarm", map[string]string{"sys/class/hwmon/hwmon1/name": "nvme", "sys/class/hwmon/hwmon1/in0_lcrit_alarm": "1"}, map[string]float64{}, ""},
		{"a young eMMC", map[string]string{"sys/block/mmcblk0/device/life_time": "0x01 0x02\n", "sys/block/mmcblk0/device/pre_eol_info": "0x01\n"},
			map[string]float64{"card_wear_pct": 20, "card_reserve": 1}, ""},
		{"an old eMMC", map[string]string{"sys/block/mmcblk0/device/life_time": "0x03 0x0a\n", "sys/block/mmcblk0/device/pre_eol_info": "0x02\n"},
			map[string]float64{"card_wear_pct": 100, "card_reserve": 2}, "card_worn major"},
		{"past its end", map[string]string{"sys/block/mmcblk2/device/life_time": "0x0b 0x01"}, map[string]float64{"card_wear_pct": 110}, "card_worn critical"},
		{"no reserve", map[string]string{"sys/block/mmcblk2/device/pre_eol_info": "0x03"}, map[string]float64{"card_reserve": 3}, "card_worn critical"},
		{"undefined", map[string]string{"sys/block/mmcblk0/device/life_time": "0x00 0x00", "sys/block/mmcblk0/device/pre_eol_info": "0x00"}, map[string]float64{}, ""},
		{"a sick file system", map[string]string{"sys/fs/ext4/mmcblk0p2/errors_count": "2"}, map[string]float64{"file_system_errors": 2}, "file_system_errors critical"},
		{"nonsense", map[string]string{
			"sys/class/hwmon/hwmon1/name": "rpi_volt", "sys/class/hwmon/hwmon1/in0_lcrit_alarm": "?", "sys/class/thermal/thermal_zone0/temp": "",
			"sys/block/mmcblk0/device/life_time": "0xff ??", "sys/block/mmcblk0/device/pre_eol_info": "0x77", "sys/kernel/debug/mmc0/err_stats": "::\n",
			"sys/fs/ext4/sda1/errors_count": "-1", "sys/devices/platform/soc/soc:firmware/get_throttled": "zz",
		}, map[string]float64{}, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			h := board.New(tree(row.files)).Look(time.Now())
			require.Equal(t, row.gauges, h.Gauges)
			require.Equal(t, row.faults, codes(h.Faults))
			require.Equal(t, row.faults, codes(h.New))
			for _, a := range h.Faults {
				require.NoError(t, telemetry.New("gateway", time.Time{}, telemetry.Unknown, a).Validate())
			}
		})
	}
}

func TestFaultsAreToldOnceAnHour(t *testing.T) {
	const alarm, errs = "sys/class/hwmon/hwmon1/in0_lcrit_alarm", "sys/kernel/debug/mmc0/err_stats"
	files := tree(map[string]string{"sys/class/hwmon/hwmon1/name": "rpi_volt", alarm: "0", errs: "# Request Timedout:\t 5\n"})
	b := board.New(files)
	now := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	look := func(after time.Duration, low, errors string) string {
		now = now.Add(after)
		files[alarm].Data, files[errs].Data = []byte(low), []byte("# Request Timedout:\t "+errors+"\n")
		return codes(b.Look(now).New)
	}
	require.Empty(t, look(0, "0", "5"), "errors of the start")
	require.Equal(t, "under_voltage major", look(time.Minute, "1", "5"))
	require.Empty(t, look(time.Minute, "1", "5"))
	require.Empty(t, look(time.Minute, "0", "5"))
	require.Equal(t, "card_errors major", look(time.Minute, "1", "7"), "and a supply that flickers isn't told again")
	require.Empty(t, codes(b.Last().New))
	require.Equal(t, "under_voltage major, card_errors major", codes(b.Last().Faults))
	require.Empty(t, look(time.Minute, "0", "9"))
	require.Equal(t, "under_voltage major, card_errors major", look(time.Hour, "1", "10"))
}
