/** The words of instance names: short, easy to spell and to say, and inoffensive. 160³ are four million names. */
export const words: readonly string[] = `
acorn alder amber anchor apple april arbor arrow aspen aster autumn badge bamboo barley basil beacon birch
blossom bramble breeze bridge bright brook bronze butter calm candle canyon carbon castle cedar cherry
chestnut cinder citrus clay clear cliff cloud clover cobalt comet copper coral cotton crane creek crystal
dahlia daisy dapple dawn delta desert dune early ember fable falcon feather fern field finch firefly flint
forest fossil fox garden garnet gentle ginger glacier golden granite grove harbor hazel heather heron hidden
hollow honey horizon indigo iris island ivory ivy jade jasmine juniper kestrel kind lagoon lantern lark laurel
lavender lemon lilac linden lively lotus lunar lynx magnolia maple marble marsh meadow mellow merry mint misty
morning moss mountain nectar noble north oak ocean olive opal orchard orchid otter pearl pebble pepper pine
plain plum polar pollen poplar prairie quartz quiet rain raven reef river robin rowan saffron sage sand
scarlet shell silent silver simple sky slate snow solar sparrow spring spruce steady stone summer sunny swift
thistle thyme timber topaz tulip valley velvet violet walnut warm willow wind winter wren
`
  .trim()
  .split(/\s+/);
