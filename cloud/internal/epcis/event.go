package epcis

import "time"

// event is an EPCIS event as this repository makes them; partners' events are kept as they came.
type event struct {
	Type           string          `json:"type"`
	EventID        string          `json:"eventID,omitempty"`
	EventTime      string          `json:"eventTime"`
	Offset         string          `json:"eventTimeZoneOffset"`
	Declaration    *declaration    `json:"errorDeclaration,omitempty"`
	EPCs           []string        `json:"epcList,omitempty"`
	Parent         string          `json:"parentID,omitempty"`
	Children       []string        `json:"childEPCs,omitempty"`
	Action         string          `json:"action"`
	BizStep        string          `json:"bizStep,omitempty"`
	Disposition    string          `json:"disposition,omitempty"`
	ReadPoint      *place          `json:"readPoint,omitempty"`
	BizLocation    *place          `json:"bizLocation,omitempty"`
	Transactions   []transaction   `json:"bizTransactionList,omitempty"`
	Destinations   []destination   `json:"destinationList,omitempty"`
	SensorElements []sensorElement `json:"sensorElementList,omitempty"`
	Confidence     string          `json:"yizhan:confidence,omitempty"`  // confirmed, inferred, contradicted
	TimeQuality    string          `json:"yizhan:timeQuality,omitempty"` // gnss ntp cloud rtc retro unknown
	Via            string          `json:"yizhan:via,omitempty"`         // the container whose tag was seen
	Cell           int             `json:"yizhan:cell,omitempty"`        // of the locker
	Telling        int             `json:"yizhan:telling,omitempty"`     // from 2 on: told before, taken back, and true again
}

type declaration struct {
	Time       string   `json:"declarationTime"`
	Reason     string   `json:"reason,omitempty"`
	Corrective []string `json:"correctiveEventIDs,omitempty"`
}

type place struct {
	ID string `json:"id"`
}

type transaction struct {
	Type string `json:"type"`
	ID   string `json:"bizTransaction"`
}

type destination struct {
	Type string `json:"type"`
	ID   string `json:"destination"`
}

type sensorElement struct {
	Metadata sensorMetadata `json:"sensorMetadata"`
	Reports  []sensorReport `json:"sensorReport"`
}

type sensorMetadata struct {
	Start  string `json:"startTime"`
	End    string `json:"endTime"`
	Device string `json:"deviceID"`
}

type sensorReport struct {
	Type  string  `json:"type"`
	Alarm string  `json:"exception,omitempty"`
	Min   float64 `json:"minValue"`
	Max   float64 `json:"maxValue"`
	Mean  float64 `json:"meanValue"`
	Unit  string  `json:"uom"`
}

// milli writes a time as events have it.
func milli(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
