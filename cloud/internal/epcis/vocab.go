package epcis

import "strings"

// The namespaces of the standard words.
const (
	cbvBase = "https://ref.gs1.org/cbv/"
	vocBase = "https://ref.gs1.org/voc/"
	ldBase  = "https://ref.gs1.org/epcis/"
)

// Context is the JSON-LD context of EPCIS 2.0.
const Context = "https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld"

// A vocabulary is a set of standard words that may be written bare, as a URN or as a web URI (CBV 2.0, section 7).
type vocabulary struct {
	urn, web string // what stands before the word
	words    map[string]bool
}

func words(s string) map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(s) {
		m[w] = true
	}
	return m
}

// The vocabularies of CBV 2.0.
var (
	bizSteps = &vocabulary{"urn:epcglobal:cbv:bizstep:", cbvBase + "BizStep-", words(`accepting arriving assembling collecting commissioning
		consigning creating_class_instance cycle_counting decommissioning departing destroying disassembling dispensing encoding
		entering_exiting holding inspecting installing killing loading other packing picking receiving removing repackaging repairing
		replacing reserving retail_selling sampling sensor_reporting shipping staging_outbound stock_taking stocking storing
		transporting unloading unpacking void_shipping`)}
	dispositions = &vocabulary{"urn:epcglobal:cbv:disp:", cbvBase + "Disp-", words(`active available completeness_inferred
		completeness_verified conformant container_closed container_open damaged destroyed dispensed disposed encoded expired in_progress
		in_transit inactive mismatch_class mismatch_instance mismatch_quantity needs_replacement no_pedigree_match non_conformant
		non_sellable_other partially_dispensed recalled reserved retail_sold returned sellable_accessible sellable_not_accessible
		stolen unavailable unknown`)}
	transactions = &vocabulary{"urn:epcglobal:cbv:btt:", cbvBase + "BTT-", words(`bol cert desadv inv pedigree po poc prodorder recadv rma
		testprd testres upevt`)}
	parties      = &vocabulary{"urn:epcglobal:cbv:sdt:", cbvBase + "SDT-", words(`owning_party possessing_party location`)}
	reasons      = &vocabulary{"urn:epcglobal:cbv:er:", cbvBase + "ER-", words(`did_not_occur incorrect_data`)}
	components   = &vocabulary{"urn:epcglobal:cbv:comp:", cbvBase + "Comp-", words(`x y z axial_distance azimuth height spherical_radius polar_angle elevation_angle easting northing latitude longitude altitude`)}
	measurements = &vocabulary{"", vocBase, words(`AbsoluteHumidity AbsorbedDose AbsorbedDoseRate Acceleration Radioactivity Altitude
		AmountOfSubstance AmountOfSubstancePerUnitVolume Angle AngularAcceleration AngularMomentum AngularVelocity Area Capacitance
		Conductance Conductivity Count Density Dimensionless DoseEquivalent DoseEquivalentRate DynamicViscosity ElectricCharge
		ElectricCurrent ElectricCurrentDensity ElectricFieldStrength Energy Exposure Force Frequency Illuminance Inductance Irradiance
		KinematicViscosity Length LinearMomentum Luminance LuminousFlux LuminousIntensity MagneticFlux MagneticFluxDensity
		MagneticVectorPotential Mass MassConcentration MassFlowRate MassPerAreaTime MemoryCapacity MolalityOfSolute MolarEnergy MolarMass
		MolarVolume Power Pressure RadiantFlux RadiantIntensity RelativeHumidity Resistance Resistivity SolidAngle SpecificVolume Speed
		SurfaceDensity SurfaceTension Temperature Time Torque Voltage Volume VolumeFlowRate VolumeFraction VolumetricFlux Wavenumber`)}
	alerts = &vocabulary{"", vocBase + "SensorAlertType-", words(`ALARM_CONDITION ERROR_CONDITION`)}
)

// full is a word of the vocabulary as its web URI; what is none of its words is expanded where it is a CURIE, and
// else stays as it is.
func (v *vocabulary) full(word string, spaces map[string]string) string {
	if w, ok := strings.CutPrefix(word, v.urn); ok && v.urn != "" {
		return v.web + w
	}
	if !strings.Contains(word, ":") {
		return v.web + word
	}
	return expand(word, spaces)
}

// knows reports whether word is written as the standard lets it be: a bare word of the vocabulary, or a URI of somebody else's.
func (v *vocabulary) knows(word string) bool {
	if v.words[word] {
		return true
	}
	scheme, rest, ok := strings.Cut(word, ":")
	return ok && scheme != "" && rest != "" && !strings.HasPrefix(word, "urn:epcglobal:cbv") && !strings.HasPrefix(word, v.web)
}

// bare is what knows takes, of a word in any of its forms.
func (v *vocabulary) bare(word string) string {
	for _, before := range []string{v.urn, v.web} {
		if w, ok := strings.CutPrefix(word, before); ok && before != "" && v.words[w] {
			return w
		}
	}
	return word
}

// expand makes a URI of a compact one whose prefix is the standard's or declared in spaces.
func expand(s string, spaces map[string]string) string {
	prefix, rest, ok := strings.Cut(s, ":")
	if !ok || strings.HasPrefix(rest, "//") {
		return s
	}
	if base, ok := spaces[prefix]; ok {
		return base + rest
	}
	switch prefix {
	case "cbv":
		return cbvBase + rest
	case "gs1":
		return vocBase + rest
	case "epcis":
		return ldBase + rest
	}
	return s
}
