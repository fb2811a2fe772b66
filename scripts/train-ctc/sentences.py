"""What the voices say: digits, numbers, commands, cards, names, and general words.

Most of it is what the model is for; a sixth is words at random, so that it learns how sounds are spelled and not only
which phrases there are. General words come from `wordfreq` (how often English words are used) and from the
pronunciation dictionary of Debian's `pocketsphinx-en-us` (which of them a synthesiser can be expected to say right).
"""

import random
import re

DIGITS = "zero one two three four five six seven eight nine".split()
TEENS = "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()
TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
RANKS = "ace two three four five six seven eight nine ten jack queen king".split()
SUITS = "clubs diamonds hearts spades".split()
DIRECTIONS = "forward backward back left right up down ahead around home".split()
UNITS = "meter meters metre metres steps feet inches degrees kilometers miles seconds minutes hours".split()
COLOURS = "red green blue yellow white black orange purple pink brown grey".split()
ROOMS = "kitchen|bedroom|bathroom|office|garage|hall|garden|basement|living room|dining room".split("|")
DEVICES = """light lights lamp fan heating heater radio television music camera door window alarm oven kettle
    printer screen speaker microphone""".split()

# One to three words, said as they are.
COMMANDS = """yes|no|stop|go|up|down|left|right|on|off|start|cancel|continue|pause|resume|play|next|previous|back|forward|
    backward|follow|help|repeat|again|okay|okay go|quit|exit|enter|open|close|save|delete|undo|redo|select|copy|paste|menu|
    home|louder|quieter|mute|unmute|volume up|volume down|turn left|turn right|turn around|turn on|turn off|switch on|
    switch off|go back|go home|go forward|go left|go right|go up|go down|move up|move down|move left|move right|stop now|
    come here|sit down|stand up|wake up|good morning|good night|good bye|goodbye|hello|hi|hey|thanks|thank you|please|
    please stop|please repeat|never mind|what time is it|how are you|call back|hang up|answer|ignore|send|reply|read it|
    read again|scroll up|scroll down|zoom in|zoom out|new game|deal|deal the cards|hit|stand|fold|call|raise|check|bet|
    shuffle|draw|draw a card|discard|pass|double|split|show my hand|my turn|your turn|i win|you lose|game over|bed|bird|
    cat|dog|happy|house|learn|marvin|sheila|tree|visual|wow|tea|coffee|water|emergency|police|ambulance|fire|agent|
    operator|representative|account|balance|payment|main menu|customer service|speak to an agent|that is correct|
    that is wrong|correct|wrong|true|false|maybe|yes please|no thanks|no thank you|not now|later|now|today|tomorrow|
    yesterday|monday|tuesday|wednesday|thursday|friday|saturday|sunday|january|february|march|april|may|june|july|
    august|september|october|november|december""".split("|")
COMMANDS = [" ".join(command.split()) for command in COMMANDS]

FIRST_NAMES = """aaron abigail adam adrian agnes alan albert alex alexander alexandra alice alison amanda amber amelia amy
    andrea andrew angela anna anne anthony antonio arthur ashley austin barbara beatrice benjamin bernard beth betty bill
    bob bonnie brandon brenda brian bruce bryan carl carla carlos carmen carol caroline catherine charles charlotte cheryl
    chloe chris christian christina christine christopher claire clara colin connor craig crystal cynthia daisy daniel
    daniela david dawn dean deborah dennis diana diane donald donna doris dorothy douglas dylan edith edward eleanor
    elena elizabeth ella ellen emily emma eric erica ernest ethan eva evan evelyn faith fiona florence frances francis
    frank fred gabriel gary george gerald gloria gordon grace graham grant greg gregory hannah harold harry harvey
    hazel heather helen henry holly howard hugo ian irene isaac isabel isabella ivan ivy jack jackson jacob jake james
    jane janet janice jason jean jeff jennifer jeremy jerry jesse jessica jim joan joanna joe joel john johnny jonathan
    jordan jose joseph joshua joyce juan judith judy julia julian julie justin karen karl kate katherine kathleen
    keith kelly ken kenneth kevin kim kimberly kyle laura lauren laurence leah leo leon leonard lewis liam lily linda
    lisa logan louis louise lucas lucy luis luke lydia madison marco margaret maria marie marion mark martha martin mary
    mason matthew maurice max megan melissa mia michael michelle miguel mike molly monica nancy naomi natalie nathan
    neil nicholas nicole nina nora norman oliver olivia oscar owen pamela patricia patrick paul paula pauline pedro
    peggy peter philip phoebe rachel ralph raymond rebecca richard rita robert robin roger ronald rosa rose roy russell
    ruth ryan sally sam samantha samuel sandra sara sarah scott sean sebastian sharon shirley simon sofia sophia sophie
    stanley stella stephanie stephen steve steven stuart susan sylvia tara ted teresa terry theo theodore theresa thomas
    tiffany timothy tina toby todd tom tony tracy trevor tyler valerie vanessa vera veronica victor victoria vincent
    violet virginia walter wanda warren wayne wendy wesley william yvonne zachary zoe""".split()
LAST_NAMES = """adams alexander allen anderson andrews armstrong arnold bailey baker barnes bell bennett berry black boyd
    bradley brooks brown bryant burns butler campbell carpenter carroll carter chapman clark coleman collins cook cooper
    cox crawford cruz cunningham daniels davis diaz dixon duncan dunn edwards elliott ellis evans ferguson fisher fleming
    flores ford foster fox freeman garcia gardner gibson gilbert gomez gonzalez goodman graham grant gray green griffin
    hall hamilton hansen harper harris harrison hart hawkins henderson hernandez hicks hill hoffman holmes hudson hughes
    hunt hunter jackson jacobs james jenkins jensen jimenez johnson johnston jones kelley kennedy king klein knight lane
    larson lawrence lee lewis long lopez marshall martin martinez mason matthews mcdonald meyer miller mitchell
    montgomery moore morales morgan morris morrison murphy murray myers nelson newman newton nguyen nichols olson ortiz
    palmer parker patterson payne perez perkins perry peters peterson phillips pierce porter powell price ramirez
    reynolds rice richardson riley rivera roberts robertson robinson rodriguez rogers romero rose ross russell ryan
    sanchez sanders schmidt schneider schultz scott shaw simmons simpson smith snyder spencer stephens stevens stewart
    stone sullivan sutton taylor thompson torres tucker turner vargas wagner walker wallace ward warren washington
    watkins watson weaver webb weber welch wells west wheeler white williams williamson willis wilson wood woods wright
    young zimmerman""".split()


def number(rng):
    """A whole number below ten thousand, in words."""
    kind = rng.random()
    if kind < 0.3:
        return rng.choice(TEENS)
    tens = rng.choice(TENS) + rng.choice(["", " " + rng.choice(DIGITS[1:])])
    if kind < 0.7:
        return tens
    rest = rng.choice(["", " " + tens, " and " + tens, " and " + rng.choice(DIGITS[1:])])
    return rng.choice(DIGITS[1:]) + rng.choice([" hundred", " thousand"]) + rest


def digits(rng):
    """A string of one to eight digits; zero may be "oh" inside a longer one."""
    count = rng.choice([1, 1, 1, 2, 2, 3, 3, 4, 5, 6, 7, 8])
    said = [rng.choice(DIGITS) for _ in range(count)]
    if count > 2 and rng.random() < 0.2:
        said = ["oh" if digit == "zero" else digit for digit in said]
    return " ".join(said)


def cards(rng):
    """One to three playing cards, as players announce them."""
    said = []
    for _ in range(rng.choice([1, 1, 2, 3])):
        of = [rng.choice(RANKS), "of", rng.choice(SUITS)]
        said += rng.choice([of, of, of, of[:1], [rng.choice(RANKS)] + of])
    return " ".join(said)


def command(rng):
    """A command by itself, or one with something in it."""
    kind = rng.random()
    if kind < 0.55:
        return rng.choice(COMMANDS)
    if kind < 0.7:
        verb = rng.choice(["go", "move", "turn", "walk", "run", "fly", "drive", "look", "please go"])
        amount = rng.choice(DIGITS + TEENS + TENS)
        return f"{verb} {rng.choice(DIRECTIONS)}" + rng.choice(["", f" {amount} {rng.choice(UNITS)}"])
    if kind < 0.85:
        verb = rng.choice(["turn on", "turn off", "switch on", "switch off", "open", "close", "start", "stop", "dim"])
        return f"{verb} the {rng.choice(['', rng.choice(ROOMS) + ' ', rng.choice(COLOURS) + ' '])}{rng.choice(DEVICES)}"
    level = rng.choice(["set the volume to", "set the temperature to", "wake me up at", "set a timer for", "channel"])
    return f"{level} {number(rng)}" + rng.choice(["", " " + rng.choice(UNITS)])


def name(rng):
    """A name, or a sentence around one."""
    who = rng.choice([
        rng.choice(FIRST_NAMES),
        rng.choice(LAST_NAMES),
        rng.choice(FIRST_NAMES) + " " + rng.choice(LAST_NAMES),
        rng.choice(FIRST_NAMES) + " " + rng.choice(LAST_NAMES),
    ])
    frame = rng.choice(["{}", "{}", "call {}", "call {} please", "my name is {}", "this is {}", "send a message to {}",
                        "mister {}", "missus {}", "doctor {}", "{} and " + rng.choice(FIRST_NAMES), "i am {}",
                        "ask {} to come", "is {} there", "a letter from {}", "phone {}"])
    return frame.format(who)


def vocabulary():
    """The words that the model is for: all of these sentences but the general ones."""
    rng = random.Random(0)
    said = [*COMMANDS, *FIRST_NAMES, *LAST_NAMES, *DIGITS, *TEENS, *TENS, *RANKS, *SUITS, *DIRECTIONS, *UNITS, *COLOURS, *ROOMS]
    said += [make(rng) for make in (digits, number, command, cards, name) for _ in range(5000)]
    return sorted({word for text in said for word in text.split()})


class Words:
    """General English words: `common` ones by how often they are used, `any` one of a pronunciation dictionary."""

    def __init__(self, dictionary):
        from wordfreq import top_n_list

        plain = re.compile(r"[a-z]+(?:'(?:s|t|re|ve|ll|d|m))?$")
        with open(dictionary, encoding="utf-8") as lines:
            known = {line.split()[0] for line in lines}
        self.any = sorted(word for word in known if plain.match(word) and 2 <= len(word) <= 13)
        self.common = [w for w in top_n_list("en", 9000) if w in known and plain.match(w) and (len(w) > 1 or w in "ai")]

    def common_word(self, rng):
        # Between uniform and Zipf: function words often, but every word is met.
        return self.common[int(len(self.common) * rng.random() ** 3)]

    def sentence(self, rng):
        count = rng.choice([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
        rare = rng.choice([0.0, 0.2, 0.5])
        return " ".join(rng.choice(self.any) if rng.random() < rare else self.common_word(rng) for _ in range(count))


def sentences(count, words, seed):
    """`count` sentences with the kind of each: (kind, text)."""
    rng = random.Random(seed)
    kinds = [("digits", digits, 0.20), ("number", number, 0.08), ("command", command, 0.25), ("cards", cards, 0.09),
             ("name", name, 0.22), ("general", words.sentence, 0.16)]
    weights = [weight for _, _, weight in kinds]
    for _ in range(count):
        kind, make, _ = rng.choices(kinds, weights)[0]
        yield kind, " ".join(make(rng).split())
