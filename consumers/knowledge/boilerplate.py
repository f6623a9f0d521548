"""What sites, shops and programs add to a description."""

from __future__ import annotations

import re

_KIND = (
    r"(?:photos?|photograph(?:y|s)?|pictures?|images?|vectors?|illustrations?|footage|clip\s?arts?"
    r"|graphics?|videos?|art|backgrounds?|wallpapers?|icons?|templates?|mockups?|psd|png|pics?)"
)
_STOCK = (
    r"(?:\b(?:royalty[-\s]free|rights[-\s]managed|hi[-\s]?res(?:olution)?|stock|free|premium"
    r"|high[-\s](?:quality|resolution)|editorial|commercial)\s+)+"
    rf"{_KIND}(?:\s(?:and|&|or)\s{_KIND})*\b"
)

# Wherever they stand.
_PHRASES = re.compile(
    r"""\b(?:click|tap|touch|hover|roll\sover|press)\s(?:(?:here|on|the|this|image|images|photo
          |photos|picture|thumbnail|thumbnails|over|it|link|below|above|a|any)\s){0,6}
          (?:to|for|and)\s(?:\w+\s)?(?:enlarge|zoom|view|see|open|play|expand|download|read|buy|
          a\slarger|larger|bigger|full|more|magnify|order|learn|watch|details)(?:\s(?:the|in|a|it
          |this|full|larger|large|bigger|size|version|image|picture|photo|view|screen|gallery|high
          |resolution|detail|details|more|new|window|original|hi-res|sized)){0,7}
      |\bclick\s(?:here|me|image|photo|the\simage|on\s(?:image|photo|the\simage|the\sphoto))\b
      |\b(?:view|see|show|open)\s(?:full|larger|large|bigger|original|high)[-\s]?(?:er)?(?:\s?(?:size|
          screen|image|version|resolution|photo|picture|res))*\b
      |\b(?:opens?|opens\sin)\s(?:in\s)?(?:a\s)?new\s(?:tab|window)\b
      |\b(?:image|photo|this\simage|this\sphoto|picture)\s(?:may|might)\s(?:contain|be(?:\san?)?)\s?:?
          \s?(?:image\sof\s)?
      |^\s*may\sbe\s(?:an?\s)?(?:image|illustration|cartoon|graphic|meme|close-up|black-and-white
          \s(?:image|photo)|twitter\sscreenshot)?\s?of\s
      |\bno\s(?:photo|alt(?:ernative)?|automatic\salt)\s?(?:description|text)?\savailable\b
      |\bno\s(?:image|photo|picture)\s(?:available|found|yet)\b|\bimage\snot\s(?:found|available)\b
      |\b(?:this\simage\s)?has\san\sempty\salt\sattribute\b.*$
      |\b(?:image|photo|picture)\s(?:is\s)?loading(?:\.{3})?|\bskip\sto\s(?:the\s)?(?:main\s)?content\b
      |\b(?:free|fast|worldwide)\s(?:\w+\s)?(?:shipping|delivery)(?:\s(?:on|over|for)\s[^.|!]{1,30})?
      |\bships\s(?:free|fast|today|worldwide|within[^.|!]{1,20})\b
      |\b(?:buy|order|shop|book|call|sign\sup|subscribe|apply|enquire)\s(?:it\s)?(?:now|online|today)\b
      |\b(?:free\s)?(?:instant\s)?downloads?\s(?:now|here|this|free|for\sfree|in\shd|hd|pdf)\b
      |\badd\sto\s(?:cart|basket|bag|wishlist|favou?rites)\b|\b(?:in|out\sof)\sstock\b|\bsold\sout\b
      |\b(?:up\sto\s)?\d{1,2}%\s(?:off|discount|sale)\b|\bon\ssale\b|\bfor\ssale(?:\sonline)?\b
      |\b(?:best|lowest|low|great)\sprices?(?:\s(?:guaranteed?|online))?\b|\bprice\sguarantee\b
      |\bmoney[-\s]back\sguarantee\b|\bcheap\s(?:price|online)\b|\b(?:next|same)\sday\sdelivery\b
      |\bpin\s(?:it|this)(?:\sfor\slater)?\b|\brepin\b|\bshare\s(?:this|on|to|via|it)(?:\s(?:
          facebook|twitter|pinterest|whatsapp|tumblr|email|linkedin|page|post|image|photo|with|
          friends|your))*\b|\bfollow\s(?:us|me)(?:\son)?(?:\s(?:instagram|facebook|twitter
          |pinterest|youtube|tiktok))?\b
      |\b(?:swipe|link\sin\sbio|tag\sa\sfriend|double\stap|like\sand\ssubscribe|read\smore
          |continue\sreading|(?:learn|show|see|view|find\sout)\smore|related\sposts?)\b
      |\b(?:accept|we\suse)\s(?:all\s)?cookies\b|\bthe\spost\b.{1,150}\bappeared\sfirst\son\b.*$
      |\b(?:retina|hd|4k|ultra\shd)\swallpapers?\b|\bwallpapers?\s(?:hd|4k|free|for\s(?:desktop
          |mobile|iphone|android|pc))(?:\s\w+){0,3}$
    """,
    re.IGNORECASE | re.VERBOSE,
)
_STOCK_PHRASE = re.compile(rf"{_STOCK}(?:\s(?:of|showing|with|depicting)\b(?:\san?(?=\s))?)?", re.I)

# Software that speaks where a person should.
_SOFTWARE = re.compile(
    r"""^\W*(?:olympus\sdigital\scamera|sony\sdsc|kodak\s.*digital\s.*camera|minolta\sdigital\scamera
      |konica\sminolta.*|samsung\s(?:digital\s)?camera(?:\spictures)?|digital\sstill\s?camera|digital\scamera
      |casio\scomputer.*|nikon(?:\scorporation)?|canon|sony|panasonic|fujifilm|ricoh|hp\sphotosmart.*
      |my\sfirst\spicture|default|dcim|exif[_\s]?(?:jpeg[_\s]?)?(?:picture|jpeg.*)?|charset\s?=.*
      |(?:created|edited|processed|made|generated|converted|optimi[sz]ed|captured|shot|saved)\s(?:with|by
          |using|in|on)\s(?:the\s)?(?:gimp|vsco|adobe|photoshop|lightroom|snapseed|picasa|instagram|canva
          |paint|gd|imagemagick|inkscape|blender|dji|nokia|iphone|snagit|lensa|camera\+|rookie|picmonkey
          |polarr|acdsee|hdr|photoscape|microsoft|faststone|irfanview|ps)\b.*
      |adobe\s(?:photoshop|lightroom|illustrator|indesign)(?:\s(?:cs\d?|cc|elements|express|\d[\w.]*))*.*
      |creator:\sgd-jpeg.*|cr?eator:\s.*|lead\stechnologies.*|file\s(?:source|written\sby).*|ascii|unicode
      |lavc[\d.]+|picasa.*|intel\(r\).*|compressed\sby.*|binary\scomment|screenshot|qr\scode|img|jfif.*
      |\d+(?:\.\d+)*\s?(?:dpi|ppi).*|hp\sdigital\s.*|untitled.*|ytcropper.*|<?kenox\s.*|lg\selectron.*
      |title|subject|comment|description|caption|keywords?|image\sdescription
     )\W*$""",
    re.IGNORECASE | re.VERBOSE,
)

# A part between separators that is nothing else.
_PRICE = (
    r"(?:us|usd|eur|gbp|rs\.?|inr|aud|cad)?\s?[$€£¥₹]?\s?\d[\d.,]*"
    r"\s?(?:[$€£¥₹]|usd|eur|euros?|gbp|inr)?"
)
_SITES = (
    r"getty\simages|istock(?:photo)?|shutterstock|alamy|dreamstime|depositphotos|adobe\sstock|123rf"
    r"|big\s?stock(?:\sphoto)?|fotolia|pixabay|unsplash|pexels|flickr|pinterest|wikipedia(?:,?\sthe\sfree"
    r"\sencyclopedia)?|wikimedia(?:\scommons)?|commons|amazon|ebay|etsy(?:\s\w{2})?|walmart|target|youtube"
    r"|facebook|instagram|twitter|x|tumblr|reddit|imgur|linkedin|tripadvisor|zillow|trulia|redbubble"
    r"|society6|zazzle|cafepress|fine\sart\samerica|pixels|saatchi\sart|wayfair|overstock|aliexpress"
    r"|alibaba|imdb|wordpress|blogger|blogspot|medium|vecteezy|freepik|pngtree|stocksy|deviantart"
    r"|artstation|behance|dribbble|500px|slideshare|houzz|bbc(?:\snews)?|cnn|the\sguardian|daily\smail"
    r"(?:\sonline)?|mail\sonline|the\snew\syork\stimes|nytimes|huffpost|buzzfeed|booking|airbnb|expedia"
    r"|spotify|soundcloud|bandcamp|discogs|goodreads|bonanza|poshmark|mercari|craigslist|gumtree|issuu"
    r"|scribd|quora|vimeo|dailymotion|tiktok|whatsapp|giphy|tenor|know\syour\smeme|fandom|wikia"
)
_NOISE = re.compile(
    rf"""^(?:(?:on|from|at|via)\s)?(?:
        (?:www\.)?(?:{_SITES})(?:\.\w{{2,3}}(?:\.\w\w)?)?(?:\s(?:photos?|images?|stock|shop|store))?
       |(?:{_STOCK}|{_KIND})(?:\s(?:by|from)\s(?-i:[A-Z@]).*)?
       |(?:free\s|instant\s|hd\s|4k\s|full\s)*(?:download|downloads|shipping|delivery|returns|wallpapers?
          |printables?|preview|sample|trial|quote|hd|4k|image|pdf)(?:\s(?:hd|4k|free|now|here|image|photo
          |wallpapers?|pdf|png|jpg|full|size|desktop|mobile|background|backgrounds|in|high|resolution))*
       |(?:photo|image|picture|slide|page|foto|figure|fig\.?|part|img|bild|view|no\.?|thumbnail)\s*\#?\d+
          (?:\s*(?:of|/|von|de|sur|di)\s*\d+)?|\d+\s*(?:of|/|von|de)\s*\d+|(?:main|cover|hero|featured|
          product|primary|header|thumbnail|profile|default|lead|banner|gallery|large|full|front|side|back)
          [\s-]+(?:image|photo|picture|view|pic|banner|size)s?(?:\s\d+)?
       |(?=.*(?:[$€£¥₹]|\b(?:usd|eur|euros?|gbp|rs|inr|price|sale)\b))(?:only|from|now|was|just|price|sale|msrp|rrp|for)?\s*:?\s*{_PRICE}(?:\s(?:only|each|off|shipped
          |free\sshipping|\+\sfree\sshipping))?
       |(?:buy|shop|order|sale|share|save|print|email|tweet|like|follow|subscribe|home|homepage|blog|news
          |gallery|photo\sgallery|image\sgallery|photos|pictures|menu|search|contact|about(?:\sus)?|login
          |official\s(?:site|website|store)|new|hot|best\sseller|details|overview|default\stitle|zoom
          |enlarge|large|thumbnail|stock|editorial|royalty[-\s]free|alt(?:\stext)?|untitled|english
          |seo|online|online\s(?:store|shop)|shop\sonline|reviews?|photos?\s(?:and|&)\s(?:images|videos)
          |\d+\s(?:photos?|images?|pictures?|comments?|views|likes|shares|pins|reviews)|cheap|wholesale
          |page\s\d+|lightbox|fancybox|carousel|full\ssize|lazy\s?load|wikipedia\sarticle|in\sstock)
      )\W*$""",
    re.IGNORECASE | re.VERBOSE,
)
_LAST_PRICE = re.compile(
    r"(?<!\bfor)(?:\s(?:only|just|now|was|from|price:?))*\s(?:US\s?)?[$€£]\s?\d[\d,]*\.\d\d[\s!]*$",
    re.IGNORECASE,
)
_LEAD = re.compile(
    r"^(?:english|alt(?:\s?text)?|caption|description|title|image|photo|picture|subject)\s*:\s",
    re.IGNORECASE,
)


def is_software(text: str) -> bool:
    """Whether a camera's or a program's default text, and nothing else."""
    return bool(_SOFTWARE.match(text))


def is_noise(part: str) -> bool:
    """Whether a part of a title, between separators, is only a site's, a shop's or a gallery's."""
    return bool(_NOISE.match(part.strip(" .!,:;()\"'“”")))


def without_phrases(text: str) -> str:
    """Without calls to click, buy, share or download, and without the agencies' own words."""
    text = _LEAD.sub("", _PHRASES.sub(" ", text))
    return _LAST_PRICE.sub("", _STOCK_PHRASE.sub(" ", text))
