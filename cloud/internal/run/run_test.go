package run

import (
	"archive/zip"
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/text/encoding/simplifiedchinese"

	"yizhan/cloud/internal/county"
)

var places = Places{
	Sites: []county.Site{
		{ID: "wh", Name: county.Text{ZH: "县级物流仓储中心", EN: "County warehouse"}, Lat: 30.503, Lon: 103.241},
		{ID: "out-a", Name: county.Text{ZH: "青石服务站", EN: "Qingshi station"}, Lat: 30.454, Lon: 103.433},
		{ID: "out-b", Name: county.Text{ZH: "竹海服务站", EN: "Zhuhai station"}, Lat: 30.517, Lon: 103.088},
	},
	Vehicles: []county.Vehicle{{ID: "v03", Plate: "岭A·20325"}},
}

func TestSheets(t *testing.T) {
	const sheet = "班次,序号,站点,到达,发车,车辆,名称\n" +
		"A1,2,青石服务站,9:10,09:20:00,岭A·20325,上午线\n" +
		"A1,1,wh,,8:30,v03,\n" +
		"B1,1,wh,,8:30,,\n" +
		"B1,2,无名站,9:00,,,\n" +
		"C1,1,wh,,,,\n" +
		"D1,1,wh,,25:10,,\nD1,2,Zhuhai Station,26:00,,,\n" +
		"E1,1,wh,,8:70,,\nE1,2,out-a,,,,\n" +
		"不行,1,wh,,,,\n"
	gb, err := simplifiedchinese.GB18030.NewEncoder().String(sheet)
	require.NoError(t, err)
	for name, body := range map[string]string{"utf-8": sheet, "with a mark": "\xef\xbb\xbf" + sheet, "gb18030": gb} {
		got := CSV([]byte(body), "2026-06-03", places)
		require.Equal(t, []county.Run{
			{ID: "A1", Day: "2026-06-03", Name: "上午线", Vehicle: "v03", Stops: []county.RunStop{{Site: "wh", Depart: "08:30"}, {Site: "out-a", Arrive: "09:10", Depart: "09:20"}}},
			{ID: "D1", Day: "2026-06-03", Stops: []county.RunStop{{Site: "wh", Depart: "25:10"}, {Site: "out-b", Arrive: "26:00"}}},
		}, got.Runs, name)
		require.ElementsMatch(t, []Fault{
			{"csv", 5, "stop", `there is no site "无名站"`}, {"csv", 0, "run", "C1 has fewer than two stops"},
			{"csv", 9, "depart", `"8:70" is no time of day`}, {"csv", 11, "run", `"不行" is not 1 to 64 of letters, digits, '-', '_', '.'`},
		}, got.Faults, name)
	}
	for _, bad := range []string{"", "run\nA1\n", "run,stop\n\"A1"} {
		require.NotEmpty(t, CSV([]byte(bad), "2026-06-03", places).Faults, bad)
	}
}

func zipped(t testing.TB, files map[string]string) []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, text := range files {
		w, err := z.Create("feed/" + name)
		require.NoError(t, err)
		_, err = w.Write([]byte(text))
		require.NoError(t, err)
	}
	require.NoError(t, z.Close())
	return b.Bytes()
}

func feedFiles() map[string]string {
	return map[string]string{
		"stops.txt":          "stop_id,stop_name,stop_lat,stop_lon\nS1,Bus station,30.5041,103.2412\nS2,Bridge,30.48,103.3\nS3,Qingshi,30.4545,103.4331\nout-b,Zhuhai,,\n",
		"trips.txt":          "route_id,service_id,trip_id,trip_headsign\nR,week,T1,青石方向\nR,week,T2,\nR,sunday,T3,\nR,off,T4,\nR,extra,T5,\n",
		"stop_times.txt":     "trip_id,arrival_time,departure_time,stop_id,stop_sequence\nT1,8:00:00,8:05:00,S1,1\nT1,8:20:00,8:20:00,S2,2\nT1,8:40:00,8:40:00,S3,3\nT2,9:00:00,9:00:00,S1,1\nT2,9:10:00,9:10:00,S2,2\nT3,9:00:00,9:00:00,S1,1\nT3,9:40:00,9:40:00,S3,2\nT5,10:00:00,10:00:00,S1,1\nT5,11:00:00,11:00:00,out-b,5\nT4,1:00:00,1:00:00,S1,1\n",
		"calendar.txt":       "service_id,monday,tuesday,wednesday,thursday,friday,saturday,sunday,start_date,end_date\nweek,1,1,1,1,1,0,0,20260101,20261231\nsunday,0,0,0,0,0,0,1,20260101,20261231\noff,1,1,1,1,1,1,1,20260101,20261231\n",
		"calendar_dates.txt": "service_id,date,exception_type\noff,20260603,2\nextra,20260603,1\n",
	}
}

func TestFeeds(t *testing.T) {
	day := time.Date(2026, 6, 3, 0, 0, 0, 0, time.UTC) // a Wednesday
	got := GTFS(zipped(t, feedFiles()), day, places)
	require.Empty(t, got.Faults)
	require.Equal(t, []county.Run{
		{ID: "T1", Day: "2026-06-03", Name: "青石方向", Stops: []county.RunStop{{Site: "wh", Arrive: "08:00", Depart: "08:05"}, {Site: "out-a", Arrive: "08:40", Depart: "08:40"}}},
		{ID: "T5", Day: "2026-06-03", Stops: []county.RunStop{{Site: "wh", Arrive: "10:00", Depart: "10:00"}, {Site: "out-b", Arrive: "11:00", Depart: "11:00"}}},
	}, got.Runs)
	files := feedFiles()
	files["stop_times.txt"] += "T1,8:61:00,,S1,4\nT5,,,S9,6\n"
	got = GTFS(zipped(t, files), day, places)
	require.Empty(t, got.Runs)
	require.Equal(t, []Fault{
		{"stop_times.txt", 12, "arrival_time", `"8:61:00" is no time of day`}, {"stop_times.txt", 13, "stop_id", `"S9" is in no stops.txt`},
	}, got.Faults)
	for _, without := range []string{"stops.txt", "trips.txt", "stop_times.txt"} {
		files := feedFiles()
		delete(files, without)
		got := GTFS(zipped(t, files), day, places)
		require.Empty(t, got.Runs)
		require.Contains(t, got.Faults[0].Message, without+" is missing")
	}
	require.Contains(t, GTFS([]byte("PK"), day, places).Faults[0].Message, "is no zip")
}

func FuzzCSV(f *testing.F) {
	f.Add([]byte("run,stop\nA1,wh\nA1,out-a\n"))
	f.Add([]byte("班次;站点;到达\nA1;wh;8:00\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, r := range CSV(b, "2026-06-03", places).Runs {
			require.GreaterOrEqual(t, len(r.Stops), 2)
			require.True(t, validRun(r.ID))
		}
	})
}

func FuzzGTFS(f *testing.F) {
	f.Add(zipped(f, feedFiles()))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, r := range GTFS(b, time.Date(2026, 6, 3, 0, 0, 0, 0, time.UTC), places).Runs {
			require.GreaterOrEqual(t, len(r.Stops), 2)
		}
	})
}
