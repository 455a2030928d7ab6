"""class -> words of the generated world: sorts, synonyms, opposites, two senses.

Open classes are large on purpose: a few hundred labelled rows cannot teach them, a pre-training corpus
can. Every list is ordered and plain data, so that the text made from it is the same bytes everywhere.
"""


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def _grouped(**groups: str) -> dict[str, tuple[str, ...]]:
    return {name: _words(text) for name, text in groups.items()}


def _pairs(text: str) -> tuple[tuple[str, str], ...]:
    return tuple((first, second) for first, _, second in (pair.partition("/") for pair in text.split()))


def _flat(groups: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(word for words in groups.values() for word in words)


WOMEN = _words(
    "Anna Mia Eva Lucy Emma Clara Nora Rosa Lily Ella Sara Ruth Jane Mary Kate Alice Amy Carla Dora"
    " Edith Fiona Gina Helen"
    "  Iris Julia Karen Laura Maria Nina Olga Paula Rita Sonia Tina Vera Wendy Zoe Grace Hanna Irma"
    " Joan Linda Molly Nancy"
    " Peggy Sally Tess Una Wilma Betty"
)
MEN = _words(
    "Tom Ben Sam Max Leo Paul John Jack Adam Carl David Eric Frank Gary Henry Ian Jim Ken Luke Mark"
    " Neil Oscar Peter Ralph"
    "  Steve Tim Victor Walter Alan Bob Chris Dan Ed Fred George Hugo Ivan Joe Karl Louis Martin Nick"
    " Otto Phil Roy Simon Ted"
    " Will Bruno Dennis"
)
NAMES = tuple(name for couple in zip(WOMEN, MEN, strict=True) for name in couple)
PRONOUN = {name: "she" for name in WOMEN} | {name: "he" for name in MEN}

COLOURS = _words(
    "red blue green yellow black white brown pink grey orange purple golden silver beige cream"
    " scarlet amber olive teal"
    " turquoise ivory navy copper lilac"
)
FOODS_BY_KIND = _grouped(
    fruit="apples pears plums grapes cherries lemons melons figs peaches berries mangos bananas",
    vegetables="carrots beans peas onions leeks beets corn cabbage spinach radishes turnips pumpkin",
    drinks="tea milk coffee juice water cider beer wine cocoa lemonade punch broth",
    sweets="cake honey jam candy biscuits pudding toffee fudge waffles pies sugar syrup",
)
ANIMALS_BY_KIND = _grouped(
    bird="robin crow owl duck goose hawk dove swan parrot eagle raven finch",
    fish="trout salmon cod carp eel tuna pike perch herring shark minnow sole",
    mammal="cat dog horse cow goat sheep pig rabbit fox wolf bear donkey",
    insect="bee ant wasp moth beetle fly cricket flea gnat butterfly hornet locust",
)
THINGS_BY_KIND = _grouped(
    tool="hammer saw drill spade rake axe chisel wrench shovel file hoe plane",
    garment="hat coat scarf shirt dress glove boot sock belt shoe cap skirt",
    vessel="cup bowl pot jug pan kettle bottle vase bucket jar plate tray",
    vehicle="car boat cart bike truck wagon van ship tram sled canoe bus",
    furnishing="lamp chair table bed desk shelf rug mirror clock sofa stool curtain",
)
PLACES_BY_KIND = _grouped(
    building="mill shop church tower castle school barn inn temple bakery museum station",
    water="lake river sea pond stream harbour canal bay well fountain waterfall marsh",
    land="hill forest field meadow garden desert valley island beach orchard cave cliff",
    town="market street bridge square park gate village port corner alley lane crossroads",
)
HOBBIES_BY_KIND = _grouped(
    sport="running swimming rowing skating boxing climbing cycling fencing surfing diving bowling wrestling",
    music="singing drumming dancing whistling humming fiddling",
    craft="knitting sewing carving weaving painting drawing baking cooking spinning sketching"
    " moulding quilting",
    games="chess cards dominoes darts marbles puzzles",
)
JOBS = _words(
    "baker doctor teacher farmer sailor tailor barber butcher painter writer singer miller nurse"
    " pilot lawyer judge clerk"
    "  cook driver waiter actor dancer poet mason plumber potter weaver smith hunter fisher gardener"
    " grocer porter soldier"
    "  guard banker dentist chemist editor printer carpenter jeweller surgeon builder cobbler shepherd"
    " librarian mayor"
)
FOODS, ANIMALS, THINGS = _flat(FOODS_BY_KIND), _flat(ANIMALS_BY_KIND), _flat(THINGS_BY_KIND)
PLACES, HOBBIES = _flat(PLACES_BY_KIND), _flat(HOBBIES_BY_KIND)

# Words of praise and of blame; the text shows which is which by what people then do.
PRAISE = _words(
    "good lovely superb tasty splendid pleasant charming perfect brilliant delightful fine excellent"
    " great wonderful fresh"
    "  elegant graceful clever funny magnificent cosy bright tender polite honest gentle smart tidy"
    " generous beautiful"
    " marvellous fabulous joyful lively helpful noble neat witty warm friendly"
)
BLAME = _words(
    "bad awful ugly nasty dreadful boring horrid terrible poor rotten stale dirty rude cruel clumsy"
    " dull bitter gloomy"
    "  messy foul broken filthy lazy noisy greedy dismal shabby grim vile wicked weak sour stupid"
    " dreary tasteless careless"
    " hopeless useless bland harsh"
)
GLAD = _words("happy cheerful pleased merry proud content jolly grateful hopeful thrilled calm delighted")
SAD = _words("sad angry upset worried gloomy afraid bored ashamed lonely nervous furious miserable")
GLAD_ACTS = _words("smiled laughed cheered sang danced clapped grinned celebrated")
SAD_ACTS = _words("cried frowned sighed wept complained groaned moaned shouted")

# lemma/past, where the past is the participle too
GAIN_VERBS = _pairs(
    "find/found win/won buy/bought earn/earned repair/repaired finish/finished save/saved receive/received"
)
LOSS_VERBS = _pairs(
    "lose/lost break/broke drop/dropped ruin/ruined crush/crushed spoil/spoiled miss/missed burn/burned"
)
PLAIN_VERBS = _pairs(
    "clean/cleaned paint/painted carry/carried sell/sold wash/washed move/moved hide/hid lift/lifted"
    " pull/pulled push/pushed"
    "  borrow/borrowed rent/rented bring/brought keep/kept watch/watched touch/touched polish/polished"
    " pack/packed"
    " deliver/delivered order/ordered check/checked cover/covered measure/measured choose/chose"
)
VERBS = GAIN_VERBS + LOSS_VERBS + PLAIN_VERBS
PAST = dict(VERBS)
PARTICIPLE = {
    past: {"broke": "broken", "hid": "hidden", "chose": "chosen"}.get(past, past) for _, past in VERBS
}

ANTONYMS = _pairs(
    "big/small old/new hot/cold clean/dusty heavy/light long/short wide/narrow thick/thin wet/dry"
    " hard/soft full/empty"
    "  open/closed strong/fragile cheap/costly rough/smooth sharp/blunt quick/slow loud/quiet high/low"
    " deep/shallow"
    "  round/flat tight/loose plain/fancy rare/common straight/crooked safe/dangerous simple/complex"
    " dark/pale whole/cracked"
    " modern/ancient"
)
OPPOSITE = dict(ANTONYMS) | {second: first for first, second in ANTONYMS}
STATES = tuple(word for pair in ANTONYMS for word in pair)

# The left word is the one facts are made of; the right one only ever stands in for it.
SYNONYM_PAIRS = _pairs(
    "shop/store forest/wood sea/ocean street/road hill/mount harbour/dock stream/brook inn/tavern"
    " village/hamlet"
    "  cup/mug bowl/basin rug/carpet coat/jacket sofa/couch bucket/pail car/auto spade/digger"
    " kettle/boiler bike/bicycle"
    "  truck/lorry jug/pitcher plate/dish rabbit/bunny dog/hound pig/hog donkey/mule raven/rook"
    " dove/pigeon cat/kitty"
    "  candy/bonbons biscuits/cookies corn/maize syrup/treacle broth/soup doctor/physician"
    " teacher/tutor sailor/seaman"
    "  cook/chef writer/author lawyer/attorney guard/watchman driver/chauffeur clerk/secretary"
    " cobbler/shoemaker"
    "  running/jogging cycling/biking drawing/doodling sewing/stitching red/crimson purple/violet"
    " golden/gilded grey/ashen"
    "  big/large small/little quick/fast loud/blaring quiet/silent cheap/inexpensive costly/expensive"
    " old/aged new/recent"
    "  dusty/grimy wet/damp sharp/keen strong/sturdy fragile/frail repaired/mended bought/purchased"
    " finished/completed"
    "  ruined/wrecked received/got cleaned/scrubbed carried/hauled hid/concealed pulled/dragged"
    " happy/glad sad/unhappy"
    " angry/cross afraid/scared cheerful/sunny"
)
SYNONYM = dict(SYNONYM_PAIRS)

KIND_OF: dict[str, str] = {
    word: kind
    for groups in (FOODS_BY_KIND, ANIMALS_BY_KIND, THINGS_BY_KIND, PLACES_BY_KIND, HOBBIES_BY_KIND)
    for kind, words in groups.items()
    for word in words
}
MEMBERS: dict[str, tuple[str, ...]] = (
    FOODS_BY_KIND | ANIMALS_BY_KIND | THINGS_BY_KIND | PLACES_BY_KIND | HOBBIES_BY_KIND
)

# A two-sense word belongs to two classes; the frame around it says which is meant.
TWO_SENSES: dict[str, tuple[str, str]] = {
    word: (first, second)
    for first, second, words in (
        ("animal", "thing", "bat crane mouse kite seal mole"),
        ("animal", "food", "chicken lamb turkey shrimp"),
        ("job", "thing", "ruler cooker counter chopper"),
        ("place", "thing", "bank club chest pitch"),
        ("food", "place", "mint"),
    )
    for word in words.split()
}
FRAMES: dict[str, tuple[str, ...]] = {
    "animal": (
        "{n} fed the hungry {x}",
        "the {x} slept in its nest by the {p}",
        "{n} saw the {x} run away from the {p}",
        "the {x} drank water and had three young",
        "the {x} is alive and makes a loud noise",
    ),
    "thing": (
        "{n} painted the {x} {c}",
        "{n} put the {x} on the table",
        "the {x} fell down and was broken",
        "{n} bought the {x} for little money",
        "the old {x} of {n} is made of iron",
    ),
    "food": (
        "{n} ate the {x} with bread",
        "{n} cooked the {x} for dinner",
        "the {x} tasted good with salt",
        "{n} likes to eat {x} every day",
        "{n} asked for {x} at the inn",
    ),
    "job": (
        "{n} works as a {x}",
        "the {x} spoke to {n} and smiled",
        "{n} asked the {x} for help",
        "the {x} went home after work",
        "the {x} is a person that {n} knows",
    ),
    "place": (
        "{n} lives near the {x}",
        "{n} walked to the {x} and stayed there",
        "{n} met a friend at the {x}",
        "there are many people in the {x}",
        "the way to the {x} is long",
    ),
}
