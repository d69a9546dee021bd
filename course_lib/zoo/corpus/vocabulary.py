"""Word lists that the corpus draws from; plain data, one list per role in a sentence."""

from __future__ import annotations

FIRST_NAMES = (
    "Ada Alma Anton Aris Beatrix Bruno Carla Cyril Dalia Doran Edda Elias Emil Esther Fabian Fay Felix "
    "Flora Gideon Greta Hanna Hugo Ida Igor Ines Iris Ivo Jasper Joan Julian Karin Klara Lars Lena Leo Lionel "
    "Lotte Magda Marius Mina Nadia Nils Nora Odile Olga Oskar Paula Petra Quentin Rasmus Regina Roland Rosa "
    "Selma Silas Simon Stella Tamara Theo Ursula Vera Viktor Wanda Yara Zelda"
).split()
LAST_NAMES = (
    "Abbott Ashford Barlow Beckett Bellamy Birch Blackwood Brandt Calder Carver Castell Cobb Corbin Dahl "
    "Darrow Delacroix Draper Eberhart Ekman Falk Farrow Fenwick Finch Forster Gallo Garrick Granger Hale "
    "Halloran Harker Hartmann Hawthorne Holt Ibsen Ingram Jarvis Keller Kestrel Kirby Lindqvist Lockwood "
    "Lundgren Marlow Mercer Moreau Nash Norwood Oakley Okafor Pascal Pemberton Pike Prescott Quill Radford "
    "Ramsey Renner Rowan Sandoval Sayer Sinclair Sorensen Stroud Tanaka Thorne Tolliver Underhill Vance "
    "Vasquez Verne Wakefield Webster Wexler Whitlock Winslow Yarrow Zimmer"
).split()
REGIONS = (
    "Arden Borealis Calder Dunmark Eastmoor Fennmark Galloway Highmere Istria Juneland Karst Lowmark "
    "Merrow Northfold Ostland Pinemark Quarrel Ridgeland Saltmarch Tarn Umber Valeria Westmoor Yewland"
).split()
RIVERS = (
    "Adder Alder Amber Arrow Ash Beck Blythe Bram Brine Calm Cedar Clay Coral Crane Dart Dell Dove Ebb Elm "
    "Ember Esk Fern Flint Frost Gale Glass Grey Hart Hazel Heron Ivel Jade Kell Lark Linn Loam Lune Marl "
    "Mist Moss Nene Oak Otter Pearl Pike Quay Raven Reed Rook Rush Sable Sand Severn Silver Slate Sparrow "
    "Swan Tamar Teal Thorn Vale Willow Wren Yarrow"
).split()
GOODS = (
    "amber barley baskets beeswax bells bicycles blankets books boots bricks brooms butter candles canvas "
    "carpets cedar cement chairs charcoal cheese cider clocks cloth coal coats coffee copper cork cotton "
    "crystal dyes engines felt figs flax flour flutes furs garnets gloves glue granite hammers hats honey "
    "hops ink iron jam kettles knives lace lamps lanterns lead leather lemons lenses linen locks maps marble "
    "medicine mirrors nails needles oats oil olives paint paper pearls pencils pepper pianos plums porcelain "
    "pottery printing raisins ribbons rice rope rugs rum saddles salt scissors seeds silk silver slate soap "
    "spices steel sugar sulphur tea thread tiles timber tin tobacco toys umbrellas varnish velvet vinegar "
    "violins wax wheat whisky wine wool yarn zinc"
).split()
DISHES = [
    f"{style} {food}"
    for style in (
        "baked",
        "braised",
        "grilled",
        "pickled",
        "roasted",
        "smoked",
        "stewed",
        "stuffed",
    )
    for food in (
        "beets",
        "carp",
        "chestnuts",
        "cod",
        "duck",
        "eel",
        "leeks",
        "mushrooms",
        "pears",
        "trout",
    )
]
ADJECTIVES = (
    "amber ancient black blue bold brass bright broken bronze calm cold copper crooked dark deep distant "
    "dusty early empty fallen first flat foggy frozen gentle golden grand green grey hidden high hollow iron "
    "last little lonely long lost marble mossy narrow new noble north old open outer pale quiet red rough "
    "round royal sandy second secret sharp silent silver slender small smooth south stone stormy strong "
    "sunken tall third twin upper warm weathered white wide wild windy winter wooden yellow young"
).split()
STRUCTURES = (
    "abbey aqueduct archive bakery barracks bridge canal castle chapel citadel dam dockyard embassy ferry "
    "foundry fountain gallery garden gate granary hall harbour hospital inn library lighthouse market mill "
    "mine monument museum observatory orchard palace pier prison quarry railway reservoir school station "
    "theatre tower tunnel university viaduct warehouse well wharf windmill"
).split()
ANIMALS = (
    "badger bear beaver crane crow deer dog donkey duck eagle falcon fox frog goat goose hare hawk hedgehog "
    "heron horse lynx magpie mole mouse otter owl pony rabbit raven salmon seal sparrow squirrel stork swan "
    "toad turtle weasel wolf wren"
).split()
OBJECTS = (
    "basket bell boat book bottle bowl box bucket candle cap cart chain chest clock cloak coin compass cup "
    "drum feather flag flute hammer harp hat jar key kite knife ladder lamp lantern letter map mask mirror "
    "needle oar pebble pipe plate pot ring rope sack saddle scarf shell shovel spoon stone sword torch "
    "trumpet violin whistle"
).split()
PLACES = (
    "attic barn beach bridge cave cellar church cliff clearing cottage field forest garden harbour hill "
    "island kitchen lake marsh meadow mill mountain orchard pond quarry river road shore square stable "
    "tower valley village well workshop"
).split()
FEELINGS = "afraid angry brave calm curious glad grateful hopeful lonely proud sad shy sleepy tired worried".split()
WEEKDAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
MONTHS = (
    "January February March April May June July August September October November December"
).split()
COLOURS = "amber black blue brown crimson gold green grey orange pink purple red silver teal white yellow".split()
TRADES = (
    "baker barber beekeeper blacksmith carpenter clerk cook doctor engineer farmer fisher gardener glazier "
    "judge librarian mason merchant miller miner musician nurse painter pilot potter printer sailor shepherd "
    "surveyor tailor teacher weaver"
).split()
CITY_HEADS = (
    "Al Am An Ar Bel Ber Bor Bran Cal Car Cor Dal Dor Dun El Er Fal Fen Gal Gor Hal Har Hel Is Jor Kal Kar "
    "Kel Lan Lor Mal Mar Mel Mor Nar Nel Nor Or Os Pel Per Quel Ral Ras Ros Sal Sel Sor Tal Tar Tor Ul Val "
    "Vel Ver Vor Wal Wen Yar Zel"
).split()
CITY_MIDDLES = "a be da de di do ga ge go la le li lo ma me mi mo na ne ni no ra re ri ro sa se ta te ti va vi".split()
CITY_TAILS = "bury by dale don fell ford gate ham haven holm hurst kirk mere mont mora mouth nia port ria stad stead ton vale wick worth".split()
